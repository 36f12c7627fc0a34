"""The two modes of a mixture in figures: which one is suspicious, and how many samples it expects where."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from bye_core.figures.theme import KEPT, NEUTRAL, SUSPICIOUS
from bye_core.records import Detection, Mixture

SIDES = ("low", "high")


def suspicious_side(detection: Detection | None) -> str | None:
    """The side of the clustered values on which the flagged samples lie, "low" or "high"; None where none are flagged.

    BYE takes the low one by rule; other detectors need not, so it is read off the result.
    """
    if detection is None:
        return None
    known = np.isfinite(detection.values)
    flagged, kept = (detection.values[known & mask] for mask in (detection.flagged, ~detection.flagged))
    if not len(flagged):
        return None
    return "low" if not len(kept) or flagged.mean() <= kept.mean() else "high"


def side_colors(suspicious: str | None) -> tuple[str, str]:
    """Colours of the low and the high mode; both neutral where neither is suspicious."""
    if suspicious is None:
        return NEUTRAL, NEUTRAL
    return (SUSPICIOUS, KEPT) if suspicious == "low" else (KEPT, SUSPICIOUS)


def side_names(suspicious: str | None) -> tuple[str, str]:
    """Names of the low and the high mode, with the word that goes with the colour."""
    return tuple(f"{side} mode" + (" (suspicious)" if side == suspicious else "") for side in SIDES)


def expected_counts(mixture: Mixture, x: np.ndarray, width: float, count: int) -> np.ndarray:
    """Samples that each component expects in a bin of `width` nats around each of `x` [X] -> [2, X].

    Of `count` samples in all. Taken over the bin, not density times width: a component narrower than a bin stays as
    high as the bar it explains.
    """
    means, stds, weights = (np.array(pair)[:, None] for pair in (mixture.means, mixture.stds, mixture.weights))
    stds = np.maximum(stds, np.finfo(float).tiny)
    return count * weights * (ndtr((x + width / 2 - means) / stds) - ndtr((x - width / 2 - means) / stds))
