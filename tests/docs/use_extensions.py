"""Uses one extension of docs/extending.md, in a process whose `bye_core` holds it: `use_extensions.py KIND FOLDER`."""

import json
import sys
from pathlib import Path


def use_detector(folder: Path) -> None:
    from bye_core import pipeline
    from bye_core.cli.main import main
    from tests.made_run import make_run

    run = make_run(folder, samples=60)
    assert main(["detect", "--run", str(run), "--method", "peak", "--setting", "share=0.5"]) == 0
    detection = pipeline.detect_run(run, "peak")
    assert detection.method == "peak"
    assert detection.flagged.sum() == 6


def use_trigger(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    from bye_core.attacks import make_trigger

    image = Image.new("RGB", (64, 32), (200, 100, 50))
    triggered, boxes = make_trigger("border", width=0.25).apply_to_image(image, np.random.default_rng(0))
    pixels = np.asarray(triggered)
    assert boxes == []
    assert not pixels[:8].any()
    assert (pixels[8:-8, 8:-8] == (200, 100, 50)).all()


def use_format(folder: Path) -> None:
    from PIL import Image

    from bye_core.data import load_dataset

    Image.new("RGB", (32, 32)).save(folder / "a.png")
    (folder / "notes.jsonl").write_text(json.dumps({"id": 7, "photo": "a.png", "note": "A black square."}))
    dataset = load_dataset(folder)
    assert dataset.format == "photo-notes"
    assert [(sample.question, sample.answer) for sample in dataset.samples] == [
        ("What is noted about the image?", "A black square.")
    ]


def use_family(folder: Path) -> None:
    from transformers import VipLlavaConfig, VipLlavaForConditionalGeneration

    from bye_core.attention import read_attention
    from bye_core.models.loading import load_model
    from bye_core.records import AttentionRows
    from tests.models import tiny
    from tests.models.families.llava import tiny_config, tiny_processor

    llava = tiny_config()
    parts = {"vision_config": llava.vision_config, "text_config": llava.text_config}
    config = VipLlavaConfig(**parts, image_token_id=3, vision_feature_layers=[-2, -1])
    VipLlavaForConditionalGeneration(config).eval().save_pretrained(folder)
    tiny_processor().save_pretrained(folder)
    loaded = load_model(str(folder), device="cpu")
    (rows,) = read_attention(loaded, [tiny.sample("a")], [[tiny.picture(0)]])
    assert isinstance(rows, AttentionRows), rows
    (grid,) = rows.grids
    assert (grid.rows, grid.columns) == (5, 5)
    assert rows.rows.shape == (3, 25)


def use_tab(folder: Path) -> None:
    import gradio as gr

    from bye_core.ui import app

    page = app.build()
    assert "About" in [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)]
    texts = [block for block in page.blocks.values() if block.elem_id == "about-text"]
    assert len(texts) == 1


if __name__ == "__main__":
    globals()[f"use_{sys.argv[1]}"](Path(sys.argv[2]))
