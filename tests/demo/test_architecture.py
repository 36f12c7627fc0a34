"""Base models of every family: what the training feeds them is what their processor and their own forward pass do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from bye_core.demo.architecture import architecture
from bye_core.demo.base_model import PARTS, WEIGHTS, draw_scenes, make_base
from bye_core.demo.language_training import LanguageTraining, image_features
from bye_core.demo.recipe import FAMILIES
from bye_core.demo.scenes import ask, draw_scene
from bye_core.demo.tower_training import own_pixels
from bye_core.models.loading import load_model
from bye_core.records import Sample, Turn

TINY = {
    "width": 32, "heads": 2, "feed_forward": 32, "tower_layers": 2, "layers": 2, "vocabulary": 300, "scenes": 4, "tower_steps": 1,
    "tower_batch": 2, "language_steps": 2, "language_batch": 2, "language_rounds": 2,
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def made(request, tmp_path_factory):
    """(architecture, recipe, folder of a base model that was hardly trained)."""
    kind, folder = architecture(request.param), tmp_path_factory.mktemp("base") / request.param
    recipe = replace(kind.recipe, **TINY)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bye_core.demo.base_model.HELD_OUT", 2)
        patch.setattr("bye_core.demo.language_training.HELD_OUT", 2)
        make_base(folder, 0, "a license", lambda **event: None, recipe, request.param)
    return kind, recipe, folder


def chats(scenes):
    return [[ask(scene, "colors"), ask(scene, "count")] for scene in scenes]


def test_training_feeds_the_model_what_its_processor_does(made):
    kind, recipe, folder = made
    loaded = load_model(str(folder), device="cpu")
    model, processor = loaded.model, loaded.processor
    scenes, pixels = draw_scenes(np.random.default_rng(1), kind, processor, replace(recipe, scenes=1))
    scenes, pixels = scenes[:2], pixels[:2]  # a scene and its mirror image, whose picture is that of the pixels
    training = LanguageTraining(
        kind, model, processor.tokenizer, recipe, scenes, kind.tower_tokens(model, pixels)
    )
    batch = training.batch(chats(scenes), training.features)
    logits = model.lm_head(training.hidden_states(batch))
    for row, (scene, chat) in enumerate(zip(scenes, chats(scenes), strict=True)):
        image = draw_scene(scenes[0]).transpose(0) if row else draw_scene(scene)
        turns = [turn for question, answer in chat for turn in (Turn("user", (question,)), Turn("assistant", (answer,)))]
        turns[0] = Turn("user", (0, chat[0][0]))
        sample = Sample("s", 0, tuple(turns), ("s.png",))
        prompt = loaded.family.render(sample.turns, generation=False)
        inputs = loaded.family.encode([prompt.text], [[image]], padding_side="right")
        length = int(batch.mask[row].sum())
        assert inputs["input_ids"][0].tolist()[:length] == training.kind.conversation(
            processor.tokenizer, recipe.tokens_a_side**2, chat
        )[0]
        expected = model(**inputs).logits[0]
        assert torch.allclose(logits[row, :length], expected[:length], atol=2e-3)
