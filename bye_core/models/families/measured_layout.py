"""Measures which layout of image tokens is right: changes spots of an image and sees which tokens' features change."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bye_core.grids import cell_box, token_numbers
from bye_core.models.families.layouts import Expansion, Layouts
from bye_core.records import Grid

if TYPE_CHECKING:
    import torch

# Spots that are changed, across and down; their places (ours).
ACROSS, DOWN = 5, 4
# Least share of the spots whose most changed token lies at the spot, and least correlation between the places of the
# spots and of the changes, across and down (ours).
AGREEMENT, CORRELATION = 0.5, 0.7
# Layouts whose misfits differ by less than this factor fit equally well (ours).
SAME_FIT = 1.15
# Fewest spots that must lie on a group of grids (ours).
FEWEST_SPOTS = 6
# A spot on the edge of a cell changes both neighbours: how far outside its cell a spot may lie, in cells (ours).
MARGIN = 0.3
SPOT_COLOUR = (255, 0, 0)
# Power of a token's change in the centre of the changes: far tokens change a little, too (ours).
SHARPNESS = 3
# Small images are measured enlarged, so that a spot is whole pixels, if the number of tokens stays the same (ours).
SHORTEST_SIDE, MOST_PIXELS = 256, 4_000_000
BLOCKS = 24  # of the noise that the measurement starts from, across and down

Features = Callable[[Image.Image], "torch.Tensor | None"]


class _Stop(Exception):
    """Ends a forward pass in front of the decoder layers."""


def image_features(
    model: torch.nn.Module, language_model: str, inputs: Any, image_token_id: int
) -> torch.Tensor | None:
    """Return what the language model receives at the image tokens of one sample: [V, D]; None if it cannot be read.

    Runs the vision tower and the projector alone.
    """
    import torch

    received: dict[str, Any] = {}
    thread = threading.get_ident()

    def keep(module: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == thread:  # other threads may use the model at the same time
            received.update(kwargs)
            raise _Stop

    handle = model.get_submodule(language_model).register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with torch.inference_mode():
            model(**inputs)
    except _Stop:
        pass
    finally:
        handle.remove()
    embeddings = received.get("inputs_embeds")
    if embeddings is None or embeddings.shape[:2] != inputs["input_ids"].shape:
        return None
    return embeddings[inputs["input_ids"] == image_token_id].float()


def spots() -> np.ndarray:
    """Return the centres (x, y) of the spots, as fractions of the image: [S, 2], slightly off a regular lattice."""
    rng = np.random.default_rng(0)
    lattice = [((x + 0.5) / ACROSS, (y + 0.5) / DOWN) for y in range(DOWN) for x in range(ACROSS)]
    return np.array(lattice) + rng.uniform(-0.06, 0.06, (len(lattice), 2))


def changes(features: Features, expansion: Expansion) -> np.ndarray | None:
    """Return how much the features of each token change with each spot, beyond what any spot changes: [S, V].

    A token that every spot changes much, such as one that gathers the whole image, counts for less.
    None if the processor makes another number of tokens of an image of this size.
    """
    larger = math.ceil(SHORTEST_SIDE / min(expansion.size))
    for scale in sorted({larger, 1}, reverse=True):
        width, height = (scale * side for side in expansion.size)
        if scale == 1 or width * height <= MOST_PIXELS:
            plain = noise_image(width, height)
            before = features(plain)
            if before is not None and len(before) == expansion.tokens:
                return _changes(features, plain, before)
    return None


def noise_image(width: int, height: int) -> Image.Image:
    """Return an image of blocks of random colours."""
    noise = np.random.default_rng(0).integers(0, 256, (BLOCKS, BLOCKS, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST)


def _changes(features: Features, plain: Image.Image, before: torch.Tensor) -> np.ndarray:
    side = max(1.0, (plain.width * plain.height / len(before)) ** 0.5)
    norms = before.norm(dim=-1).clamp_min(1e-6)
    rows = []
    for x, y in spots() * plain.size:
        spotted = plain.copy()
        left, top, right, bottom = (round(edge) for edge in (x - side / 2, y - side / 2, x + side / 2, y + side / 2))
        spotted.paste(SPOT_COLOUR, (left, top, right, bottom))
        after = features(spotted)
        rows.append(((after - before).norm(dim=-1) / norms).cpu().numpy())  # type: ignore[operator]
    change = np.stack(rows)
    beyond = np.clip(change - np.median(change, axis=0), 0, None)
    result: np.ndarray = beyond / np.sqrt(np.maximum(change.mean(axis=0), 1e-12))
    return result


def best_layout(options: Layouts, change: np.ndarray, size: tuple[int, int]) -> tuple | None:
    """Return the first rule that fits the measured changes [S, V] about as well as any; None if none fits."""
    misfits = {rule: misfit(grids, change, size) for rule, grids in options.items()}
    least = min(misfits.values(), default=math.inf)
    fitting = (rule for rule, value in misfits.items() if value <= least * SAME_FIT)
    return next(fitting, None) if math.isfinite(least) else None


def misfit(grids: Sequence[Grid], change: np.ndarray, size: tuple[int, int]) -> float:
    """Return the mean distance between a spot and the centre of its changes, if the tokens are arranged in `grids`.

    The unit is the diagonal of the image; infinity: the tokens are not arranged like this. Overviews and the other
    grids show the image once each: the worse of their values counts.
    """
    groups = [[grid for grid in grids if grid.overview is kind] for kind in (False, True)]
    return max(_misfit(group, change, size) for group in groups if group)


def _misfit(grids: Sequence[Grid], change: np.ndarray, size: tuple[int, int]) -> float:
    tokens = np.concatenate([token_numbers(grid).ravel() for grid in grids])
    boxes = np.array([
        cell_box(grid, row, column, 1, 1)
        for grid in grids
        for row in range(grid.rows)
        for column in range(grid.columns)
    ])  # fmt: skip
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, :2] + sides / 2
    changed, hits = [], []
    for spot, moved in zip(spots(), change[:, tokens], strict=True):
        if not (np.abs(centres - spot) <= sides / 2).all(axis=1).any():
            continue  # the processor has cut this spot off
        top = int(np.argmax(moved))
        hits.append(moved[top] > 0 and (np.abs(centres[top] - spot) <= sides[top] * (0.5 + MARGIN)).all())
        if moved[top] > 0:
            weights = (moved / moved[top]) ** SHARPNESS
            changed.append((spot, weights @ centres / weights.sum()))
    if len(changed) < FEWEST_SPOTS or np.mean(hits) < AGREEMENT:
        return math.inf
    painted, moved_to = (np.array(places) for places in zip(*changed, strict=True))
    for axis in (0, 1):
        if np.ptp(centres[:, axis]) > 0 and not np.corrcoef(painted[:, axis], moved_to[:, axis])[0, 1] >= CORRELATION:
            return math.inf
    diagonal = math.hypot(*size)
    return float(np.linalg.norm((moved_to - painted) * size, axis=1).mean() / diagonal)
