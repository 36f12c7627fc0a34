"""How much a trigger changes a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from statistics import mean

import numpy as np
from PIL import Image

PEAK = 255


def psnr(original: Image.Image, changed: Image.Image) -> float:
    """Peak signal-to-noise ratio of two RGB pictures of one size, in dB over all channels; inf where they are equal."""
    error = float(np.mean(_difference(original, changed) ** 2))
    return 10 * math.log10(PEAK**2 / error) if error else math.inf


@dataclass(frozen=True)
class Change:
    """What a trigger did to one picture.

    psnr      dB, in memory, before any encoding
    encoded   dB, of both pictures as a reader of their files has them
    survives  how much of the change is still there after encoding, along the change itself: 1 = all, 0 = nothing
    All are NaN or inf where nothing was changed.
    """

    psnr: float
    encoded: float
    survives: float


def measure(original: Image.Image, changed: Image.Image, encoded: Callable[[Image.Image], Image.Image]) -> Change:
    """`encoded` is the way through a file and back."""
    read, changed_read = encoded(original), encoded(changed)
    before, after = _difference(original, changed), _difference(read, changed_read)
    energy = float((before**2).sum())
    survives = float((before * after).sum()) / energy if energy else math.nan
    return Change(psnr(original, changed), psnr(read, changed_read), survives)


def summary(changes: Sequence[Change]) -> dict[str, float]:
    """Means over the pictures that were changed, as facts; none where there are none."""
    seen = [change for change in changes if all(map(math.isfinite, astuple(change)))]
    names = {"psnr": "psnr", "encoded": "psnr_encoded", "survives": "survives_encoding"}
    return {fact: round(mean(getattr(one, name) for one in seen), 3) for name, fact in names.items()} if seen else {}


def _difference(original: Image.Image, changed: Image.Image) -> np.ndarray:
    return np.asarray(changed, np.float64) - np.asarray(original, np.float64)
