"""Makes the demo's base model: a small LLaVA, trained from scratch on drawn scenes (recipe: ours)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from bye_core.demo.free_questions import TOPICS, FreeQuestions
from bye_core.demo.language_training import Topics, train_language
from bye_core.demo.llava import corpus, make_model, make_processor, make_tokenizer
from bye_core.demo.recipe import FREE_BASE, HELD_OUT, BaseRecipe
from bye_core.demo.scenes import Scene, draw_scene, make_scene, mirrored
from bye_core.demo.tower_training import train_tower


def draw_pixels(scenes: list[Scene], processor: LlavaProcessor) -> torch.Tensor:
    """Draw scenes and return their pixel values [B, 3, S, S] as the model's own processor computes them."""
    images = [draw_scene(scene) for scene in scenes]
    return processor.image_processor(images=images, return_tensors="pt")["pixel_values"]


def draw_scenes(
    rng: np.random.Generator, processor: LlavaProcessor, recipe: BaseRecipe
) -> tuple[list[Scene], torch.Tensor]:
    """Return (scenes, pixel values [B, 3, S, S]): scenes and their mirror images, then HELD_OUT further scenes."""
    scenes = [make_scene(rng) for _ in range(recipe.scenes + HELD_OUT)]
    pixels = torch.cat([draw_pixels(scenes[i : i + 100], processor) for i in range(0, len(scenes), 100)])
    known, kept = scenes[: recipe.scenes], pixels[: recipe.scenes]
    scenes = known + [mirrored(scene) for scene in known] + scenes[recipe.scenes :]
    return scenes, torch.cat([kept, kept.flip(-1), pixels[recipe.scenes :]])


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
    scenes, pixels = draw_scenes(rng, processor, recipe)
    log(stage="pictures", scenes=len(scenes))
    model.train()
    train_tower(model, scenes[:-HELD_OUT], pixels[:-HELD_OUT], recipe, log)
    model.model.vision_tower.requires_grad_(False)
    train_language(model, tokenizer, scenes, pixels, recipe, log, seed + 1)
    model.eval().half().save_pretrained(out)
    processor.save_pretrained(out)


def make_free_base(base: Path, out: Path, seed: int, log: Callable[..., None], recipe: BaseRecipe = FREE_BASE) -> None:
    """Teach the model in the folder `base` to answer free questions; save model (float16) and processor in `out`.

    `base` is the demo's base model, whose language model and projector are trained on; its vision tower is frozen.
    """
    torch.manual_seed(seed)
    processor = LlavaProcessor.from_pretrained(base)
    model = LlavaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    scenes, pixels = draw_scenes(np.random.default_rng(seed), processor, recipe)
    log(stage="pictures", scenes=len(scenes))
    model.train()
    model.model.vision_tower.requires_grad_(False)
    # Training repeats questions more often than a set may; the words are what the model learns.
    topics = Topics(TOPICS, FreeQuestions(seed, most_repeats=None).ask)
    train_language(model, processor.tokenizer, scenes, pixels, recipe, log, seed + 1, topics)
    model.eval().half().save_pretrained(out)
    processor.save_pretrained(out)
