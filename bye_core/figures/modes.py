"""The two modes of a mixture in figures: colours, names, and expected counts."""

from __future__ import annotations

import numpy as np
import scipy

from bye_core.figures.theme import KEPT, NEUTRAL, SUSPICIOUS
from bye_core.records import Detection, Mixture

SIDES = ("low", "high")


def suspicious_side(detection: Detection | None) -> str | None:
    """Return the side of the clustered values that holds the flagged samples, "low" or "high"; None if none is flagged.

    BYE always flags the low side; other detectors may flag the high side.
    """
    if detection is None:
        return None
    known = np.isfinite(detection.values)
    flagged, kept = (detection.values[known & mask] for mask in (detection.flagged, ~detection.flagged))
    if not len(flagged):
        return None
    return "low" if not len(kept) or flagged.mean() <= kept.mean() else "high"


def side_colors(suspicious: str | None) -> tuple[str, str]:
    """Return (colour of the low mode, colour of the high mode); both neutral if `suspicious` is None."""
    if suspicious is None:
        return NEUTRAL, NEUTRAL
    return (SUSPICIOUS, KEPT) if suspicious == "low" else (KEPT, SUSPICIOUS)


def side_names(suspicious: str | None) -> tuple[str, str]:
    """Return (name of the low mode, name of the high mode); each name includes a word for the colour."""
    low, high = (f"{side} mode" + (" (suspicious)" if side == suspicious else "") for side in SIDES)
    return low, high


def expected_counts(mixture: Mixture, x: np.ndarray, width: float, count: int) -> np.ndarray:
    """Return an array [2, X]: of `count` samples, the expected number per component in bins of `width` nats around `x`.

    Integrates the density over each bin, so that a component narrower than a bin is drawn as high as its bar.
    """
    means, stds, weights = (np.array(pair)[:, None] for pair in (mixture.means, mixture.stds, mixture.weights))
    stds = np.maximum(stds, np.finfo(float).tiny)
    return (
        count
        * weights
        * (scipy.special.ndtr((x + width / 2 - means) / stds) - scipy.special.ndtr((x - width / 2 - means) / stds))
    )
