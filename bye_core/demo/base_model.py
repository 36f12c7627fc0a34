"""Makes the demo's base model: a small LLaVA, trained from scratch on drawn scenes (recipe: ours)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import LlavaProcessor

from bye_core.demo.language_training import train_language
from bye_core.demo.llava import corpus, make_model, make_processor, make_tokenizer
from bye_core.demo.recipe import HELD_OUT, BaseRecipe
from bye_core.demo.scenes import Scene, draw_scene, make_scene, mirrored
from bye_core.demo.tower_training import train_tower


def draw_pixels(scenes: list[Scene], processor: LlavaProcessor) -> torch.Tensor:
    """Draw scenes and return their pixel values [B, 3, S, S] as the model's own processor computes them."""
    images = [draw_scene(scene) for scene in scenes]
    return processor.image_processor(images=images, return_tensors="pt")["pixel_values"]


def make_base(
    out: Path, seed: int, license_text: str, log: Callable[..., None], recipe: BaseRecipe | None = None
) -> None:
    """Train the base model from `seed` and save model (float16) and processor in the folder `out`."""
    recipe = recipe or BaseRecipe()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokenizer = make_tokenizer(corpus(seed, license_text), recipe.vocabulary)
    processor = make_processor(tokenizer, recipe)
    model = make_model(tokenizer, recipe)
    log(stage="base", parameters=sum(p.numel() for p in model.parameters()), vocabulary=len(tokenizer))
    scenes = [make_scene(rng) for _ in range(recipe.scenes + HELD_OUT)]
    pixels = torch.cat([draw_pixels(scenes[i : i + 100], processor) for i in range(0, len(scenes), 100)])
    known, kept = scenes[: recipe.scenes], pixels[: recipe.scenes]
    scenes = known + [mirrored(scene) for scene in known] + scenes[recipe.scenes :]
    pixels = torch.cat([kept, kept.flip(-1), pixels[recipe.scenes :]])
    log(stage="pictures", scenes=len(scenes))
    model.train()
    train_tower(model, scenes[:-HELD_OUT], pixels[:-HELD_OUT], recipe, log)
    model.model.vision_tower.requires_grad_(False)
    train_language(model, tokenizer, scenes, pixels, recipe, log, seed + 1)
    model.eval().half().save_pretrained(out)
    processor.save_pretrained(out)
