"""Edits regions of pictures: covers, pastes and crops them, and places control regions."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter1d

from bye_core.evidence.attention_peak import Box

SIDE = 96  # pixels of a crop's longer side (ours: a few cells of a model at twice a page's density)


TRIES = 200


def pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the smallest box of whole pixels (left, top, right, bottom) around fractions of a picture."""
    left, top = (min(int(edge * size + 1e-9), size - 1) for edge, size in zip(box[:2], (width, height), strict=True))
    right, bottom = (
        min(max(int(np.ceil(edge * size - 1e-9)), least + 1), size)
        for edge, size, least in zip(box[2:], (width, height), (left, top), strict=True)
    )
    return left, top, right, bottom


def cover(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Fill the boxes from their surroundings.

    Colours are interpolated along rows and along columns between the nearest uncovered pixels, each averaged over a few
    pixels, and the mean of both is taken. A box at the border is filled from its other sides, and a box as large as the
    picture with the mean colour.
    """
    values = np.asarray(picture.convert("RGB"), np.float32).copy()
    known = np.ones(values.shape[:2], bool)
    sides = [pixels(box, *picture.size) for box in boxes]
    for left, top, right, bottom in sides:
        known[top:bottom, left:right] = False
    if known.all():
        return picture
    # Deep enough that single bright pixels draw no stripes (ours).
    depth = max(2, min(min(right - left, bottom - top) for left, top, right, bottom in sides) // 8)
    across, down = _along(values, known, depth), _along(values.swapaxes(0, 1), known.T, depth).swapaxes(0, 1)
    both = np.stack([across[~known], down[~known]])  # [2, hidden pixels, 3], NaN where a whole line is hidden
    count = np.isfinite(both).sum(axis=0)
    mean = values[known].mean(axis=0) if known.any() else values.mean(axis=(0, 1))
    values[~known] = np.where(count, np.nan_to_num(both).sum(axis=0) / np.maximum(count, 1), mean)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _along(values: np.ndarray, known: np.ndarray, depth: int) -> np.ndarray:
    """Interpolate the hidden pixels of [lines, length, 3] along their line; NaN if the whole line is hidden."""
    size = 2 * depth + 1
    weights = uniform_filter1d(known.astype(np.float32), size, axis=1, mode="constant")
    smooth = uniform_filter1d(values * known[..., None], size, axis=1, mode="constant")
    found = np.full_like(values, np.nan)
    for line in np.flatnonzero(~known.all(axis=1) & known.any(axis=1)):
        there, gaps = np.flatnonzero(known[line]), np.flatnonzero(~known[line])
        for channel in range(3):
            usual = smooth[line, there, channel] / weights[line, there]
            found[line, gaps, channel] = np.interp(gaps, there, usual)
    return found


def paste(picture: Image.Image, source: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Paste the boxes of `source` at the same relative places, scaled to the size of the picture."""
    pasted = picture.convert("RGB")
    for box in boxes:
        left, top, right, bottom = pixels(box, *picture.size)
        part = source.convert("RGB").crop(pixels(box, *source.size))
        pasted.paste(part.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
    return pasted


def control_boxes(boxes: Sequence[Box], name: str, seed: int = 0) -> tuple[Box, ...] | None:
    """Return boxes of the same sizes that touch none of `boxes`; overlapping boxes stay together.

    The first random place that fits is taken; `name` and `seed` fix the order. The corners come last, where up to half
    of a group may overlap. Returns None if nothing fits.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "replace"))])
    found: list[Box] = []
    for group in _groups(boxes):
        left, top, right, bottom = (edge(box[n] for box in group) for n, edge in enumerate((min, min, max, max)))
        free_x, free_y = 1 - (right - left), 1 - (bottom - top)
        places = [(x, y) for x, y in (rng.random((TRIES, 2)) * (free_x, free_y)).tolist()]
        corners = [(x, y) for x in (0.0, free_x) for y in (0.0, free_y)]
        tried = [_moved(group, x - left, y - top) for x, y in places + [corners[n] for n in rng.permutation(4)]]
        overlaps = [sum(_overlap(one, other) for one in own for other in (*boxes, *found)) for own in tried]
        free = next((own for own, overlap in zip(tried, overlaps, strict=True) if overlap < 1e-9), None)
        last = min(range(TRIES, TRIES + 4), key=overlaps.__getitem__)
        if free is None and overlaps[last] > area(group) / 2:
            return None
        found += free or tried[last]
    return tuple(found)


def _groups(boxes: Sequence[Box]) -> list[list[Box]]:
    """Group boxes that overlap."""
    groups: list[list[Box]] = []
    for box in boxes:
        near = [own for own in groups if any(_overlap(box, one) > 1e-9 for one in own)]
        groups = [own for own in groups if own not in near] + [[*(one for own in near for one in own), box]]
    return groups


def _moved(boxes: Sequence[Box], x: float, y: float) -> list[Box]:
    return [(left + x, top + y, right + x, bottom + y) for left, top, right, bottom in boxes]


def area(boxes: Sequence[Box]) -> float:
    """Return the share of the picture, 0..1, that the boxes cover together."""
    across, down = (np.unique([box[n] for box in boxes for n in (side, side + 2)]) for side in (0, 1))
    middle_x, middle_y = ((edges[1:] + edges[:-1]) / 2 for edges in (across, down))
    inside = np.zeros((len(middle_y), len(middle_x)), bool)
    for left, top, right, bottom in boxes:
        inside |= np.outer((middle_y > top) & (middle_y < bottom), (middle_x > left) & (middle_x < right))
    return float(np.diff(down) @ inside @ np.diff(across))


def _overlap(one: Box, other: Box) -> float:
    """Return the area that both cover."""
    wide, high = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)


@dataclass(frozen=True)
class Gallery:
    """The suspected spots of flagged samples, as crops of one size.

    crops   (id, crop) of the most suspicious samples
    mean    mean of all `cut` crops: what they share is sharp, the rest is blurred
    others  mean of as many unflagged samples, cropped at the same places
    missing why some or all crops are missing, "" if none is
    """

    crops: tuple[tuple[str, Image.Image], ...] = ()
    mean: Image.Image | None = None
    others: Image.Image | None = None
    cut: int = 0
    missing: str = ""


def crop_size(spots: Sequence[Box]) -> tuple[float, float]:
    """Return the size (width, height) of all crops, as fractions of a picture: the median of the spots."""
    sizes = np.array([(right - left, bottom - top) for left, top, right, bottom in spots])
    width, height = np.median(sizes, axis=0)
    return float(width), float(height)


def crop(picture: Image.Image, cell: Box, size: tuple[float, float], side: int = SIDE) -> Image.Image:
    """Crop a part of `size` around the middle of `cell`, moved inside the picture; its longer side has `side` px."""
    left, top = (
        min(max((low + high) / 2 - span / 2, 0.0), 1.0 - span)
        for low, high, span in zip(cell[:2], cell[2:], size, strict=True)
    )
    box = pixels((left, top, left + size[0], top + size[1]), *picture.size)
    wide, high = box[2] - box[0], box[3] - box[1]
    scale = side / max(wide, high)
    whole = (max(1, round(wide * scale)), max(1, round(high * scale)))
    return picture.convert("RGB").crop(box).resize(whole, Image.Resampling.BICUBIC)


def mean_crop(crops: Iterable[Image.Image]) -> Image.Image | None:
    """Return the mean of the crops at the size of the first; None without crops."""
    total, count, size = None, 0, None
    for one in crops:
        size = size or one.size
        values = np.asarray(one if one.size == size else one.resize(size), np.float64)
        total = values if total is None else total + values
        count += 1
    return None if total is None else Image.fromarray((total / count).round().astype(np.uint8))
