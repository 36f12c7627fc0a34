"""Makes a base model: a small vision-language model, trained from scratch on drawn scenes (recipe: ours)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from transformers import AutoModelForImageTextToText, LlavaProcessor

from bye_core.demo.architecture import Architecture, architecture
from bye_core.demo.free_questions import TOPICS, FreeQuestions
from bye_core.demo.language_training import LanguageTraining, Topics, image_features
from bye_core.demo.recipe import FAMILIES, FREE_BASE, HELD_OUT, BaseRecipe
from bye_core.demo.scenes import Scene, draw_scene, make_scene, mirrored
from bye_core.demo.tower_training import train_tower
from bye_core.files import write_atomic

# The weights of an unfinished training, and the number of finished parts: the tower, then each round of the language.
WEIGHTS, PARTS = "unfinished.safetensors", "unfinished.json"


def draw_scenes(
    rng: np.random.Generator, kind: Architecture, processor: Any, recipe: BaseRecipe
) -> tuple[list[Scene], torch.Tensor]:
    """Return (scenes, pixels [B, 3, S, S]): scenes and their mirror images, then HELD_OUT further scenes."""
    scenes = [make_scene(rng) for _ in range(recipe.scenes + HELD_OUT)]
    parts = [scenes[i : i + 100] for i in range(0, len(scenes), 100)]
    pixels = torch.cat([kind.pixels(processor, [draw_scene(scene) for scene in part]) for part in parts])
    known, kept = scenes[: recipe.scenes], pixels[: recipe.scenes]
    scenes = known + [mirrored(scene) for scene in known] + scenes[recipe.scenes :]
    return scenes, torch.cat([kept, kept.flip(-1), pixels[recipe.scenes :]])


def make_base(
    out: Path,
    seed: int,
    license_text: str,
    log: Callable[..., None],
    recipe: BaseRecipe | None = None,
    family: str = FAMILIES[0],
) -> None:
    """Train a base model from `seed` and save model (float16) and processor in the folder `out`.

    The weights are saved after the tower and after each round of the language, so a stopped call can resume.
    """
    kind = architecture(family)
    recipe = recipe or kind.recipe
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = kind.make_tokenizer(kind.corpus(seed, license_text), recipe)
    processor = kind.make_processor(tokenizer, recipe)
    model = kind.make_model(tokenizer, recipe)
    log(stage="base", parameters=sum(p.numel() for p in model.parameters()), vocabulary=len(tokenizer))
    scenes, pixels = draw_scenes(rng, kind, processor, recipe)
    log(stage="pictures", scenes=len(scenes))
    model.train()
    finished = _restore(out, model)
    if not finished:
        train_tower(kind, model, scenes[:-HELD_OUT], pixels[:-HELD_OUT], recipe, log)
        finished = _save(out, model, 1)
    _train_language(kind, model, processor, recipe, scenes, pixels, seed + 1, log, out, finished)
    _finish(out, model, processor)


def make_free_base(base: Path, out: Path, seed: int, log: Callable[..., None], recipe: BaseRecipe = FREE_BASE) -> None:
    """Teach the model in the folder `base` to answer free questions; save model (float16) and processor in `out`.

    `base` is the demo's base model, whose language model and projector are trained on; its vision tower is frozen.
    """
    kind = architecture(FAMILIES[0])
    torch.manual_seed(seed)
    processor = LlavaProcessor.from_pretrained(base)
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    scenes, pixels = draw_scenes(np.random.default_rng(seed), kind, processor, recipe)
    log(stage="pictures", scenes=len(scenes))
    model.train()
    finished = _restore(out, model) or 1
    # Training repeats questions more often than a set may; the words are what the model learns.
    topics = Topics(TOPICS, FreeQuestions(seed, most_repeats=None).ask)
    _train_language(kind, model, processor, recipe, scenes, pixels, seed + 1, log, out, finished, topics)
    _finish(out, model, processor)


def _train_language(
    kind: Architecture,
    model: Any,
    processor: Any,
    recipe: BaseRecipe,
    scenes: list[Scene],
    pixels: torch.Tensor,
    seed: int,
    log: Callable[..., None],
    out: Path,
    finished: int,
    topics: Topics | None = None,
) -> None:
    """Train projector and language model on the frozen tower, whose image tokens are computed only once.

    Training runs in rounds until every kind of question reaches the held-out accuracy `recipe.language_bar`, for at
    most `recipe.language_rounds` rounds, since some kinds take longer to learn.
    """
    for weight in kind.tower_weights(model):
        weight.requires_grad_(False)
    features = image_features(kind, model, pixels)
    training = LanguageTraining(kind, model, processor.tokenizer, recipe, scenes, features, topics or Topics())
    for number in range(finished - 1, recipe.language_rounds):
        right = training.train_round(number, seed, log)
        if min(right.values()) >= recipe.language_bar:
            return
        _save(out, model, number + 2)


def _save(out: Path, model: Any, parts: int) -> int:
    """Save the weights of an unfinished training and return the number of its finished parts."""
    out.mkdir(parents=True, exist_ok=True)
    (out / PARTS).unlink(missing_ok=True)
    save_model(model, str(out / WEIGHTS))
    write_atomic(out / PARTS, json.dumps(parts).encode("ascii"))
    return parts


def _restore(out: Path, model: Any) -> int:
    """Load the weights of an unfinished training, if there are any; return the number of its finished parts."""
    if not (out / PARTS).is_file():
        return 0
    load_model(model, str(out / WEIGHTS))
    parts: int = json.loads((out / PARTS).read_text(encoding="ascii"))
    return parts


def _finish(out: Path, model: Any, processor: Any) -> None:
    """Save the model and its processor, and delete the weights of the unfinished training."""
    for name in (PARTS, WEIGHTS):
        (out / name).unlink(missing_ok=True)
    model.eval().half().save_pretrained(out)
    processor.save_pretrained(out)
