"""Base models of every family: training feeds them what their processor does; a stopped training resumes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bye_core.demo import base_model
from bye_core.demo.architecture import architecture
from bye_core.demo.language_training import LanguageTraining
from bye_core.demo.recipe import FAMILIES
from bye_core.demo.scenes import ask, draw_scene
from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn

TINY = {
    "width": 32, "heads": 2, "key_value_heads": 1, "feed_forward": 32, "tower_layers": 2, "layers": 2,
    "vocabulary": 300, "scenes": 4, "tower_steps": 1, "tower_batch": 2, "language_steps": 2, "language_batch": 2,
    "language_rounds": 2,
}  # fmt: skip


def make(folder, family, log=lambda **event: None):
    """Train a tiny base model for a few steps; return (architecture, recipe)."""
    kind = architecture(family)
    recipe = replace(kind.recipe, **TINY)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("base_model", "language_training"):
            patch.setattr(f"bye_core.demo.{module}.HELD_OUT", 2)
        base_model.make_base(folder, 0, "a license", log, recipe, family)
    return kind, recipe


@pytest.mark.parametrize("family", FAMILIES)
def test_training_feeds_the_model_what_its_processor_does(family, tmp_path):
    kind, recipe = make(tmp_path / family, family)
    loaded = load_model(str(tmp_path / family), device="cpu")
    model, tokenizer = loaded.model, loaded.processor.tokenizer
    scenes, pixels = base_model.draw_scenes(np.random.default_rng(1), kind, loaded.processor, replace(recipe, scenes=1))
    tokens = kind.tower_tokens(model, pixels[:1])
    training = LanguageTraining(kind, model, tokenizer, recipe, scenes[:1], tokens)
    chat = [ask(scenes[0], "colors"), ask(scenes[0], "count")]
    batch = training.batch([chat], tokens)
    parts = [((0, chat[0][0]), (chat[0][1],)), ((chat[1][0],), (chat[1][1],))]
    turns = [Turn(role, own) for pair in parts for role, own in zip(("user", "assistant"), pair, strict=True)]
    sample = Sample("s", 0, tuple(turns), ("s.png",))
    prompt = loaded.family.render(sample.turns, generation=False)
    inputs = loaded.family.encode([prompt.text], [[draw_scene(scenes[0])]])
    assert inputs["input_ids"][0].tolist() == kind.conversation(tokenizer, tokens.shape[1], chat)[0]
    learned = tokenizer.decode(batch.labels[0][batch.labels[0] >= 0])
    assert learned.split(tokenizer.eos_token)[:2] == [f"{' ' * (family == 'llava')}{answer}" for _, answer in chat]
    logits = model.lm_head(training.hidden_states(batch))
    assert torch.allclose(logits, model(**inputs).logits, atol=1e-4)


def test_a_stopped_training_resumes_after_the_last_finished_part(tmp_path):
    begun = []

    def stop(**event):
        begun.append(event["stage"])
        if begun.count("held out") == 1 and begun[-1] == "language":
            raise KeyboardInterrupt

    make(tmp_path / "whole", "internvl")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "stopped", "internvl", stop)
    begun.clear()
    make(tmp_path / "stopped", "internvl", lambda **event: begun.append(event["stage"]))
    assert ("tower" in begun, begun.count("held out")) == (False, 1)
    whole, stopped = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(value, stopped[name]) for name, value in whole.items())
    assert not list((tmp_path / "stopped").glob("unfinished*"))
