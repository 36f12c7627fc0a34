"""Edits regions of images: covers, pastes and crops them, and places control regions."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from PIL import Image

from bye_core.evidence.attention_peak import Box

SIDE = 96  # pixels of a crop's longer side (ours)


TRIES = 200


def pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the smallest box of whole pixels (left, top, right, bottom) that contains `box` on the image."""
    left, top = (min(int(edge * size + 1e-9), size - 1) for edge, size in zip(box[:2], (width, height), strict=True))
    right, bottom = (
        min(max(int(np.ceil(edge * size - 1e-9)), least + 1), size)
        for edge, size, least in zip(box[2:], (width, height), (left, top), strict=True)
    )
    return left, top, right, bottom


def cover(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Fill the boxes with colours interpolated from their surroundings.

    Colours are interpolated along rows and along columns between the nearest uncovered pixels, and the mean of both
    results is used. Each of the nearest pixels is averaged with a few pixels beyond it. A box at the border is filled
    from its other sides. A box as large as the image is filled with the mean colour.
    """
    values = np.asarray(image.convert("RGB"), np.float32).copy()
    known = np.ones(values.shape[:2], bool)
    sides = [pixels(box, *image.size) for box in boxes]
    for left, top, right, bottom in sides:
        known[top:bottom, left:right] = False
    if known.all():
        return image
    # Average over several pixels, so that single bright pixels cause no stripes (ours).
    depth = max(2, min(min(right - left, bottom - top) for left, top, right, bottom in sides) // 8)
    across, down = _along(values, known, depth), _along(values.swapaxes(0, 1), known.T, depth).swapaxes(0, 1)
    both = np.stack([across[~known], down[~known]])  # [2, hidden pixels, 3], NaN where a whole line is hidden
    count = np.isfinite(both).sum(axis=0)
    mean = values[known].mean(axis=0) if known.any() else values.mean(axis=(0, 1))
    values[~known] = np.where(count, np.nan_to_num(both).sum(axis=0) / np.maximum(count, 1), mean)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def _along(values: np.ndarray, known: np.ndarray, depth: int) -> np.ndarray:
    """Interpolate the hidden pixels of [lines, length, 3] along each line; NaN if the whole line is hidden."""
    size = 2 * depth + 1
    weights = scipy.ndimage.uniform_filter1d(known.astype(np.float32), size, axis=1, mode="constant")
    smooth = scipy.ndimage.uniform_filter1d(values * known[..., None], size, axis=1, mode="constant")
    found = np.full_like(values, np.nan)
    for line in np.flatnonzero(~known.all(axis=1) & known.any(axis=1)):
        there, gaps = np.flatnonzero(known[line]), np.flatnonzero(~known[line])
        for channel in range(3):
            usual = smooth[line, there, channel] / weights[line, there]
            found[line, gaps, channel] = np.interp(gaps, there, usual)
    return found


def paste(image: Image.Image, source: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Paste the boxes of `source` into `image` at the same relative positions, scaled to the size of `image`."""
    pasted = image.convert("RGB")
    for box in boxes:
        left, top, right, bottom = pixels(box, *image.size)
        part = source.convert("RGB").crop(pixels(box, *source.size))
        pasted.paste(part.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
    return pasted


def control_boxes(boxes: Sequence[Box], name: str, seed: int = 0) -> tuple[Box, ...] | None:
    """Return boxes of the same sizes that touch none of `boxes`. Overlapping boxes keep their relative positions.

    Uses the first random position that fits; `name` and `seed` determine the positions. Otherwise tries the corners,
    where up to half of a group may overlap `boxes`. Returns None if no position fits.
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
    """Return the boxes in groups; boxes that overlap are in the same group."""
    groups: list[list[Box]] = []
    for box in boxes:
        near = [own for own in groups if any(_overlap(box, one) > 1e-9 for one in own)]
        groups = [own for own in groups if own not in near] + [[*(one for own in near for one in own), box]]
    return groups


def _moved(boxes: Sequence[Box], x: float, y: float) -> list[Box]:
    return [(left + x, top + y, right + x, bottom + y) for left, top, right, bottom in boxes]


def area(boxes: Sequence[Box]) -> float:
    """Return the share of the image, 0..1, that the boxes cover in total; overlaps count once."""
    across, down = (np.unique([box[n] for box in boxes for n in (side, side + 2)]) for side in (0, 1))
    middle_x, middle_y = ((edges[1:] + edges[:-1]) / 2 for edges in (across, down))
    inside = np.zeros((len(middle_y), len(middle_x)), bool)
    for left, top, right, bottom in boxes:
        inside |= np.outer((middle_y > top) & (middle_y < bottom), (middle_x > left) & (middle_x < right))
    return float(np.diff(down) @ inside @ np.diff(across))


def _overlap(one: Box, other: Box) -> float:
    """Return the area that lies in both boxes, as a share of the image."""
    wide, high = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)


@dataclass(frozen=True)
class Gallery:
    """The suspected spots of flagged samples, as crops of the same size.

    crops    (id, crop) of the most suspicious samples
    mean     mean of all `cut` crops: common parts are sharp, other parts are blurred
    others   mean of the same number of unflagged samples, cropped at the same positions
    missing  why some or all crops are missing; "" if none is missing
    """

    crops: tuple[tuple[str, Image.Image], ...] = ()
    mean: Image.Image | None = None
    others: Image.Image | None = None
    cut: int = 0
    missing: str = ""


def crop_size(spots: Sequence[Box]) -> tuple[float, float]:
    """Return the one size (width, height) that every crop gets, as fractions of an image.

    It is the median width and the median height of the spots.
    """
    sizes = np.array([(right - left, bottom - top) for left, top, right, bottom in spots])
    width, height = np.median(sizes, axis=0)
    return float(width), float(height)


def crop(image: Image.Image, cell: Box, size: tuple[float, float], side: int = SIDE) -> Image.Image:
    """Crop a part of `size` around the middle of `cell`, shifted so that it lies inside the image.

    The longer side of the result has `side` pixels.
    """
    left, top = (
        min(max((low + high) / 2 - span / 2, 0.0), 1.0 - span)
        for low, high, span in zip(cell[:2], cell[2:], size, strict=True)
    )
    box = pixels((left, top, left + size[0], top + size[1]), *image.size)
    wide, high = box[2] - box[0], box[3] - box[1]
    scale = side / max(wide, high)
    whole = (max(1, round(wide * scale)), max(1, round(high * scale)))
    return image.convert("RGB").crop(box).resize(whole, Image.Resampling.BICUBIC)


def mean_crop(crops: Iterable[Image.Image]) -> Image.Image | None:
    """Return the mean of the crops, scaled to the size of the first crop; None if there are no crops."""
    total, count, size = None, 0, None
    for one in crops:
        size = size or one.size
        values = np.asarray(one if one.size == size else one.resize(size), np.float64)
        total = values if total is None else total + values
        count += 1
    return None if total is None else Image.fromarray((total / count).round().astype(np.uint8))
