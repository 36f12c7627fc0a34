"""Trains the vision tower of the demo's base model (recipe: ours).

Every image token is trained to encode facts about the whole scene and about its own patch, so that attention behaves as
in large models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bye_core.demo.architecture import Architecture
from bye_core.demo.recipe import BaseRecipe
from bye_core.demo.scenes import COLORS, NUMBERS, SIDE, Scene


class TowerProbes(nn.Module):
    """Linear layers that predict facts about the scene from every image token; discarded after training."""

    def __init__(self, recipe: BaseRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.colors = nn.Linear(recipe.token_width, len(COLORS))
        self.count = nn.Linear(recipe.token_width, len(NUMBERS))
        self.background = nn.Linear(recipe.token_width, 1)
        self.own_color = nn.Linear(recipe.token_width, len(COLORS) + 1)
        self.own_pixels = nn.Linear(recipe.token_width, 3 * (recipe.token_pixels // 2) ** 2)

    def forward(self, tokens: torch.Tensor, truth: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of predictions from `tokens` [B, V, D]; `truth` holds the targets (see `scene_truth`)."""
        scene_wide = {name: truth[name].unsqueeze(1).expand(-1, tokens.shape[1], *truth[name].shape[1:]) for name in
                ("colors", "count", "background")}  # fmt: skip
        return (
            self.recipe.colors_weight * F.binary_cross_entropy_with_logits(self.colors(tokens), scene_wide["colors"])
            + self.recipe.count_weight
            * F.cross_entropy(self.count(tokens).flatten(0, 1), scene_wide["count"].flatten())
            + F.binary_cross_entropy_with_logits(self.background(tokens).squeeze(-1), scene_wide["background"])
            + 0.5 * F.cross_entropy(self.own_color(tokens).flatten(0, 1), truth["own_color"].flatten())
            + self.recipe.own_pixels_weight * F.mse_loss(self.own_pixels(tokens), truth["own_pixels"])
        )


def scene_truth(scenes: list[Scene], recipe: BaseRecipe) -> dict[str, torch.Tensor]:
    """Return the targets of the probes by name: [B, ...] for facts about the scene, [B, V] for facts about a token."""
    names, side = list(COLORS), recipe.tokens_a_side
    own = torch.zeros(len(scenes), side, side, dtype=torch.long)
    centres = (np.arange(side) + 0.5) * SIDE / side
    for scene, cells in zip(scenes, own, strict=True):
        for shape in scene.shapes:
            inside = (centres[:, None] - shape.y) ** 2 + (centres[None] - shape.x) ** 2 < (shape.radius + 4) ** 2
            cells[torch.from_numpy(inside)] = names.index(shape.color) + 1
    return {
        "colors": torch.tensor([[float(name in scene.colors) for name in names] for scene in scenes]),
        "count": torch.tensor([len(scene.shapes) - 1 for scene in scenes]),
        "background": torch.tensor([float(scene.background == "palace") for scene in scenes]),
        "own_color": own.flatten(1),
    }


def own_pixels(pixels: torch.Tensor, recipe: BaseRecipe) -> torch.Tensor:
    """Return the pixels under each token, averaged 2 x 2: [B, 3, S, S] -> [B, V, 3 * (pixels / 2) ** 2]."""
    side = recipe.token_pixels // 2
    return F.unfold(F.avg_pool2d(pixels, 2), side, stride=side).transpose(1, 2)


def erase(pixels: torch.Tensor, share: float) -> torch.Tensor:
    """Paint one to three small squares into a share of the images [B, 3, S, S]: random erasing (Zhong et al., 2020).

    The targets of the scene do not change, so a square affects only the tokens under it.
    """
    low, high = pixels.amin(), pixels.amax()
    erased, side = pixels.clone(), pixels.shape[-1]
    for image in (each for each in erased if torch.rand(()) < share):
        for _ in range(int(torch.randint(1, 4, ()))):
            size = int(torch.randint(side // 16, side // 6, ()))
            top, left = (int(v) for v in torch.randint(side - size, (2,)))
            image[:, top : top + size, left : left + size] = low + (high - low) * torch.rand(3, 1, 1)
    return erased


def minimize(
    weights: list[nn.Parameter],
    rate: float,
    steps: int,
    batch_loss: Callable[[], torch.Tensor],
    log: Callable[..., None],
    stage: str,
) -> None:
    """Minimise `batch_loss()` with AdamW and a one-cycle learning rate. Each call must draw a new batch."""
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        loss = batch_loss()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step + 1 == steps:
            log(stage=stage, step=step, loss=round(loss.item(), 4))


def train_tower(
    kind: Architecture,
    model: Any,
    scenes: list[Scene],
    pixels: torch.Tensor,
    recipe: BaseRecipe,
    log: Callable[..., None],
) -> None:
    """Train the vision tower together with temporary probes."""
    probes = TowerProbes(recipe)
    truth = scene_truth(scenes, recipe)

    def batch_loss() -> torch.Tensor:
        rows = torch.randint(len(scenes), (recipe.tower_batch,))
        images = erase(pixels[rows], recipe.erased)
        targets = {name: value[rows] for name, value in truth.items()} | {"own_pixels": own_pixels(images, recipe)}
        return probes(kind.tower_tokens(model, images), targets)

    weights = [*kind.tower_weights(model), *probes.parameters()]
    minimize(weights, recipe.tower_rate, recipe.tower_steps, batch_loss, log, "tower")
