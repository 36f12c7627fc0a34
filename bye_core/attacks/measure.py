"""Measures how much a trigger changes an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from statistics import mean

import numpy as np
from PIL import Image

PEAK = 255


def psnr(original: Image.Image, changed: Image.Image) -> float:
    """Return the peak signal-to-noise ratio of two RGB images of equal size, in dB over all channels; inf if equal."""
    error = float(np.mean(_difference(original, changed) ** 2))
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


@dataclass(frozen=True)
class ImageChange:
    """How much a trigger changed one image.

    psnr      peak signal-to-noise ratio in dB, before encoding
    encoded   the same ratio in dB, after both images were encoded and decoded
    survives  share of the change that remains after encoding, projected on the change: 1 = all of it, 0 = nothing
    All values are NaN or inf if nothing changed.
    """

    psnr: float
    encoded: float
    survives: float


def measure_change(
    original: Image.Image, changed: Image.Image, encode: Callable[[Image.Image], Image.Image]
) -> ImageChange:
    """Compare two RGB images of the same size. `encode` encodes an image as a file and decodes it again."""
    original_decoded, changed_decoded = encode(original), encode(changed)
    before, after = _difference(original, changed), _difference(original_decoded, changed_decoded)
    energy = float((before**2).sum())
    survives = float((before * after).sum()) / energy if energy else math.nan
    return ImageChange(psnr(original, changed), psnr(original_decoded, changed_decoded), survives)


def mean_changes(changes: Sequence[ImageChange]) -> dict[str, float]:
    """Return the mean of each field over the images that changed, by field name; {} if none changed."""
    finite = [change for change in changes if all(map(math.isfinite, astuple(change)))]
    names = {"psnr": "psnr", "encoded": "psnr_encoded", "survives": "survives_encoding"}
    if not finite:
        return {}
    return {fact: round(mean(getattr(change, name) for change in finite), 3) for name, fact in names.items()}


def _difference(original: Image.Image, changed: Image.Image) -> np.ndarray:
    return np.asarray(changed, np.float64) - np.asarray(original, np.float64)
