"""The suspected spots themselves, cut out of their pictures at one size, and their mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bye_core.evidence.occlusion import pixels
from bye_core.evidence.places import Box

SIDE = 96  # pixels of a crop's longer side (ours: a few cells of a model at twice a page's density)


@dataclass(frozen=True)
class Gallery:
    """The suspected spots of flagged samples as pictures of one size.

    crops   the most suspicious samples' spots, by id
    mean    of all that were cut out, `cut` in number: what they share shows, all else blurs
    others  the mean of as many samples that are not flagged, cut out at the same places
    missing why some or all could not be cut out, "" where all could
    """

    crops: tuple[tuple[str, Image.Image], ...] = ()
    mean: Image.Image | None = None
    others: Image.Image | None = None
    cut: int = 0
    missing: str = ""


def crop_box(spots: Sequence[Box]) -> tuple[float, float]:
    """The size (width, height) of all crops, as fractions of a picture: the median of the spots'."""
    sizes = np.array([(right - left, bottom - top) for left, top, right, bottom in spots])
    width, height = np.median(sizes, axis=0)
    return float(width), float(height)


def crop(picture: Image.Image, cell: Box, size: tuple[float, float], side: int = SIDE) -> Image.Image:
    """The part of `size` around the middle of `cell`, moved where it would leave the picture; longer side `side` px."""
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
    """The mean of crops, brought to the size of the first; None of nothing."""
    total, count, size = None, 0, None
    for one in crops:
        size = size or one.size
        values = np.asarray(one if one.size == size else one.resize(size), np.float64)
        total = values if total is None else total + values
        count += 1
    return None if total is None else Image.fromarray((total / count).round().astype(np.uint8))
