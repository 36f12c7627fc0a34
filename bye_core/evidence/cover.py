"""Covering spots of a picture as if they had never been there, spots elsewhere to hold that against, and pasting spots
into other pictures. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from bye_core.evidence.places import Box

TRIES = 200


def pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Fractions of a picture -> (left, top, right, bottom), whole pixels that hold all of it; one pixel at least."""
    left, top = (min(int(edge * size + 1e-9), size - 1) for edge, size in zip(box[:2], (width, height), strict=True))
    right, bottom = (
        min(max(int(np.ceil(edge * size - 1e-9)), least + 1), size)
        for edge, size, least in zip(box[2:], (width, height), (left, top), strict=True)
    )
    return left, top, right, bottom


def cover(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The picture with each box filled from what surrounds it: between the edges colours change evenly, from left to
    right and from top to bottom, and the mean of both is taken. Each edge is known by the mean of a few pixels' depth.

    A box that touches the picture's border is filled from its other sides; one that is all of it, with its mean colour.
    """
    values = np.asarray(picture.convert("RGB"), np.float64).copy()
    for box in boxes:
        _fill(values, box)
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def paste(picture: Image.Image, source: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The picture with what `source` has in each box, at the same places, scaled as the pictures differ."""
    pasted = picture.convert("RGB")
    for box in boxes:
        left, top, right, bottom = pixels(box, *picture.size)
        part = source.convert("RGB").crop(pixels(box, *source.size))
        pasted.paste(part.resize((right - left, bottom - top), Image.Resampling.BICUBIC), (left, top))
    return pasted


def _fill(values: np.ndarray, box: Box) -> None:
    height, width = values.shape[:2]
    left, top, right, bottom = pixels(box, width, height)
    depth = max(2, min(right - left, bottom - top) // 8)  # deep enough that single bright pixels draw no stripes (ours)
    fills = [
        _between(values[top:bottom, max(left - depth, 0) : left].mean(axis=1) if left else None,
                 values[top:bottom, right : right + depth].mean(axis=1) if right < width else None,
                 right - left),
        _between(values[max(top - depth, 0) : top, left:right].mean(axis=0) if top else None,
                 values[bottom : bottom + depth, left:right].mean(axis=0) if bottom < height else None,
                 bottom - top),
    ]  # fmt: skip
    across, down = fills
    known = [one for one in (across, None if down is None else down.swapaxes(0, 1)) if one is not None]
    values[top:bottom, left:right] = np.mean(known, axis=0) if known else values.mean(axis=(0, 1))


def _between(first: np.ndarray | None, last: np.ndarray | None, steps: int) -> np.ndarray | None:
    """Two edges [length, 3] -> the colours between them [length, steps, 3]; None where neither is known."""
    if first is None and last is None:
        return None
    first, last = (last if first is None else first), (first if last is None else last)
    share = ((np.arange(steps) + 0.5) / steps)[None, :, None]
    return first[:, None] * (1 - share) + last[:, None] * share


def elsewhere(boxes: Sequence[Box], name: str, seed: int = 0) -> tuple[Box, ...] | None:
    """Boxes of the same sizes that touch neither `boxes` nor each other, at places drawn by `name` and `seed`.

    Of the places tried, in an order that is always the same for one sample, the first that fits is taken; last of all
    come the corners, where half of a box at most may be covered too. None where not even that fits.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "replace"))])
    found: list[Box] = []
    for left, top, right, bottom in boxes:
        width, height = right - left, bottom - top
        places = [(x, y) for x, y in (rng.random((TRIES, 2)) * (1 - width, 1 - height)).tolist()]
        corners = [(x, y) for x in (0.0, 1 - width) for y in (0.0, 1 - height)]
        tried = [(x, y, x + width, y + height) for x, y in places + [corners[n] for n in rng.permutation(4)]]
        overlaps = [sum(_overlap(one, other) for other in (*boxes, *found)) for one in tried]
        free = next((one for one, overlap in zip(tried, overlaps, strict=True) if overlap < 1e-9), None)
        last = min(range(TRIES, TRIES + 4), key=overlaps.__getitem__)
        if free is None and overlaps[last] > width * height / 2:
            return None
        found.append(free or tried[last])
    return tuple(found)


def _overlap(one: Box, other: Box) -> float:
    """Area that both cover."""
    wide, high = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)
