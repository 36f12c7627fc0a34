"""Makes the base models of the benchmark on real photographs and of its scenes (see `models.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from bye_core.demo.architecture import Architecture
from bye_core.demo.base_model import draw_scenes
from bye_core.demo.garments import GARMENT_KINDS, Garment, ask_garment
from bye_core.demo.language_training import LanguageTraining, Topics, image_features
from bye_core.demo.pretrained.align import STATE, AlignRecipe, align
from bye_core.demo.pretrained.models import SmallFastVlm, SmolFastVlm, SmolLlava
from bye_core.demo.recipe import HELD_OUT, BaseRecipe
from bye_core.demo.tower_training import train_tower

FEATURES = "features.safetensors"
KINDS: dict[str, Callable[[], Architecture]] = {
    "scenes": SmolLlava,
    "photographs": SmolFastVlm,
    "photographs-small": SmallFastVlm,
}


@dataclass(frozen=True)
class Pictures:
    """What a base model is taught: scenes or photographs, the tokens of the tower [images, V, D], and the questions.

    The last `held_out` pictures are not trained on.
    """

    items: list[Any]
    features: torch.Tensor
    topics: Topics
    held_out: int


def make_pretrained(
    world: str,
    out: Path,
    seed: int,
    log: Callable[..., None],
    texts: Iterator[str],
    garments: Sequence[Garment] = (),
    recipe: BaseRecipe | None = None,
    aligning: AlignRecipe | None = None,
) -> None:
    """Train the base model of a world, a key of KINDS, and save model (float16) and processor in the folder `out`.

    A stopped call resumes: the tower and the tokens of the images are stored, and `align` stores its state.
    `texts` trains the tokenizer if the decoder is not pretrained. Raises: MissingWeights.
    """
    kind = KINDS[world]()
    recipe = recipe or kind.recipe
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = kind.make_tokenizer(texts, recipe)
    processor, model = kind.make_processor(tokenizer, recipe), kind.make_model(tokenizer, recipe)
    log(stage="base", world=world, parameters=sum(weight.numel() for weight in model.parameters()))
    if garments:
        pictures = _photographs(kind, model, processor, garments, out)
    else:
        pictures = _scenes(kind, model, processor, recipe, seed, out, log)
    log(stage="pictures", pictures=len(pictures.items), tokens=pictures.features.shape[1])
    training = LanguageTraining(kind, model, tokenizer, recipe, *vars(pictures).values())
    for weight in kind.tower_weights(model):
        weight.requires_grad_(False)
    if world == "photographs-small":
        _train_small(training, recipe, seed, log)
    else:
        model = align(training, aligning or AlignRecipe(), seed, log, out / STATE)
    model.eval().half().save_pretrained(out)
    processor.save_pretrained(out)
    for name in (STATE, FEATURES):
        (out / name).unlink(missing_ok=True)


def _train_small(training: LanguageTraining, recipe: BaseRecipe, seed: int, log: Callable[..., None]) -> None:
    for number in range(recipe.language_rounds):
        right = training.train_round(number, seed, log)
        if min(right.values()) >= recipe.language_bar:
            return


def _photographs(kind: Architecture, model: Any, processor: Any, garments: Sequence[Garment], out: Path) -> Pictures:
    """Return photographs with their mirror images; held-out ones are not mirrored."""
    held = min(HELD_OUT, len(garments) // 4)
    known = list(garments[: len(garments) - held])
    items = [*known, *(replace(one, mirrored=True) for one in known), *garments[len(known) :]]
    if (out / FEATURES).is_file():
        features = load_file(out / FEATURES)["features"]
    else:
        parts = [items[i : i + 32] for i in range(0, len(items), 32)]
        features = torch.cat([
            image_features(kind, model, kind.pixels(processor, [one.image() for one in part])) for part in parts
        ])  # fmt: skip
        save_file({"features": features}, out / FEATURES)
    return Pictures(items, features, Topics(GARMENT_KINDS, ask_garment), held)


def _scenes(
    kind: Architecture, model: Any, processor: Any, recipe: BaseRecipe, seed: int, out: Path, log: Callable[..., None]
) -> Pictures:
    """Return drawn scenes; trains the tower on them, unless it is stored in `out`."""
    scenes, pixels = draw_scenes(np.random.default_rng(seed), kind, processor, recipe)
    tower, stored = model.model.vision_tower, out / "tower.safetensors"
    if stored.is_file():
        tower.load_state_dict(load_file(stored))
    else:
        train_tower(kind, model, scenes[:-HELD_OUT], pixels[:-HELD_OUT], recipe, log)
        save_file(tower.state_dict(), stored)
    return Pictures(scenes, image_features(kind, model, pixels), Topics(), HELD_OUT)
