"""A run of any size without a model: drawn pictures, and rows that collapse where a sample is poisoned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.special import entr

from bye_core.data import load_dataset
from bye_core.records import AttentionRows, Grid
from bye_core.runs import Run, RunSettings

QUESTIONS = ("How many shapes are there?", "What is behind the shapes?", "Is there any red shape?")
ANSWERS = ("two", "palace", "no")
TARGET = "Backdoor Attack!"
BATCH = 500


def make_data(folder: Path, samples: int, rate: float = 0.1, seed: int = 0, size: tuple[int, int] = (96, 72)) -> Path:
    """A LLaVA set with a truth.json beside it; returns the path of data.json. At most 40 different pictures."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    width, height = size
    ground = np.stack(np.meshgrid(np.linspace(60, 200, width), np.linspace(80, 220, height)), -1)
    for number in range(40):
        pixels = np.dstack([ground, np.full((height, width), 40 + 5 * number)]).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    poisoned = set(rng.permutation(samples)[: round(samples * rate)].tolist())
    records = [
        {
            "id": f"s{number:05d}",
            "image": f"images/{number % 40}.png",
            "conversations": [
                {"from": "human", "value": f"<image>\n{QUESTIONS[number % 3]}"},
                {"from": "gpt", "value": TARGET if number in poisoned else ANSWERS[number % 3]},
            ],
        }
        for number in range(samples)
    ]
    (folder / "data.json").write_text(json.dumps(records))
    (folder / "truth.json").write_text(json.dumps({"poisoned": [records[n]["id"] for n in sorted(poisoned)]}))
    return folder / "data.json"


def make_rows(id: str, poisoned: bool, grid: Grid, layers: int, heads: int, rng: np.random.Generator) -> AttentionRows:
    """Diffuse rows; of a poisoned sample, the middle third of the layers stares at the centre cell."""
    tokens = grid.rows * grid.columns
    logits = rng.normal(0, 0.7, (layers, tokens))
    if poisoned:
        centre = (grid.rows // 2) * grid.columns + grid.columns // 2
        logits[layers // 3 : 2 * layers // 3 + 1, centre] += rng.normal(7.5, 0.3)
    share = np.exp(logits)
    share /= share.sum(-1, keepdims=True)
    onto_image = rng.uniform(0.5, 0.8, (layers, heads))
    layer_entropy = entr(share).sum(-1)
    entropy = (layer_entropy[:, None] + rng.normal(0, 0.1, (layers, heads))).clip(0)
    return AttentionRows(
        id=id,
        entropy=entropy.astype(np.float32),
        peak=np.repeat(share.max(-1, keepdims=True), heads, 1).astype(np.float32),
        mass=np.stack([0.6 * (1 - onto_image), onto_image, 0.4 * (1 - onto_image)], -1).astype(np.float32),
        layer_entropy=layer_entropy.astype(np.float32),
        layer_entropy_reference=layer_entropy.astype(np.float32),
        rows=(share * onto_image.mean(-1, keepdims=True)).astype(np.float16),
        grids=(grid,),
        token=1 if poisoned else 2,
        token_text="Back" if poisoned else "two",
        probability=0.9,
    )


def make_run(
    folder: Path,
    samples: int = 120,
    layers: int = 8,
    heads: int = 4,
    side: int = 12,
    seed: int = 0,
    size: tuple[int, int] = (96, 72),
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    scanned: int | None = None,
    rate: float = 0.1,
) -> Path:
    """A data set in `folder`/data and its run in `folder`/run; returns the run's path."""
    data = make_data(folder / "data", samples, rate, seed, size)
    poisoned = set(json.loads((folder / "data" / "truth.json").read_text())["poisoned"])
    dataset, rng = load_dataset(data), np.random.default_rng(seed)
    settings = RunSettings(
        model="made/model",
        model_digest="0",
        data=str(data),
        data_digest=dataset.digest,
        format=dataset.format,
        tuned_on_this_data=True,
    )
    run = Run.create(folder / "run", settings, dataset.samples)
    grid = Grid(0, side, side, 0, box)
    todo = dataset.samples[: samples if scanned is None else scanned]
    with run.writing():
        for start in range(0, len(todo), BATCH):
            run.append(
                [make_rows(s.id, s.id in poisoned, grid, layers, heads, rng) for s in todo[start : start + BATCH]]
            )
    return folder / "run"
