"""Spectral signatures (Tran et al. 2018) on the hidden state from which the model reads the first answer token.

Departure: the original treats each class of a classifier separately. Free-text answers have no classes, so all samples
are treated together. Like the original, this baseline always flags a share of the samples and cannot abstain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bye_core.detect.detector import Detector
from bye_core.detect.hidden_states import known_states, missing_reasons
from bye_core.detect.result import nothing, result
from bye_core.detect.settings import check_settings, share_setting
from bye_core.records import Detection, ScanTable


@dataclass(frozen=True)
class SpectralSettings:
    """Settings of spectral signatures. Default share: 1.5 times a poison rate of 10% (Tran et al., Algorithm 1)."""

    share: float = share_setting(0.15, "share of the samples that is always flagged", "Share flagged")

    def __post_init__(self) -> None:
        check_settings(self)


def spectral(table: ScanTable, settings: SpectralSettings) -> Detection:
    """Flag the samples that are farthest along the direction in which the centred states [N, D] vary most.

    values [N] are the squared projections on this direction; scores [N] are the ranks of the values.
    """
    states, known = known_states(table)
    if len(states) < 2 or not np.ptp(states, axis=0).any():
        return nothing("spectral", settings, table, ["The states of the samples do not differ."])
    # Uses the leading eigenvector of the D x D scatter matrix, which needs no N x N matrix and no random start.
    centred = states.astype(np.float64) - states.mean(axis=0, dtype=np.float64)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    values, scores = np.full(len(known), np.nan), np.zeros(len(known))
    values[known] = along**2
    scores[known] = (scipy.stats.rankdata(along**2) - 0.5) / len(along)
    count = round(settings.share * len(along))
    flagged = np.zeros(len(known), bool)
    flagged[np.flatnonzero(known)[np.argsort(-(along**2), kind="stable")[:count]]] = True
    explained = float((along**2).sum() / (centred**2).sum())
    reasons = [
        f"The {count:,} samples farthest along the states' main direction, which holds {explained:.0%} of the "
        "variance. This baseline always flags a fixed share.",
        *missing_reasons(known),
    ]
    cutoff = float(values[flagged].min()) if count else None
    return result("spectral", settings, table, flagged, scores, reasons, values, cutoff=cutoff)


DETECTOR = Detector(
    "spectral",
    "Baseline: spectral signature",
    spectral,
    SpectralSettings,
    "squared projection",
    needs=("hidden",),
    misses="It sees only poison that shifts the last hidden state along one direction.",
)
