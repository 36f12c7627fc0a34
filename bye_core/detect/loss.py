"""Flags answers that are unlikely to the model before fine-tuning, after BYORn (arXiv 2606.02947).

The published idea: the untuned model gives planted answers a high mean negative log-likelihood. We do not know the
threshold that the authors use. Our threshold is a mixture of two Gaussians whose separation must reach BYE's bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bye_core.detect.detector import Detector
from bye_core.detect.hidden_states import missing_reasons
from bye_core.detect.mixture import bsi_paper, crossing, fit
from bye_core.detect.result import nothing, result
from bye_core.detect.settings import check_settings, setting, share_setting
from bye_core.records import Detection, ScanTable


@dataclass(frozen=True)
class LossSettings:
    """Settings of the loss detector. Sources: the separation is BYE's BSI (Eq. 7); the share is ours."""

    separation: float = setting(
        2.0, "smallest separation of the two modes, measured as BYE's BSI", "Smallest separation", low=0
    )
    share: float = share_setting(0.5, "largest share of the samples in the mode of unlikely answers", "Largest share")

    def __post_init__(self) -> None:
        check_settings(self)


def loss(table: ScanTable, settings: LossSettings) -> Detection:
    """Flag the samples in the high mode of nll_before [N], the mean loss in nats for each token of the answer.

    values [N] are nll_before; scores [N] are the posterior of the high mode.
    """
    raw = np.asarray(table.nll_before, np.float64)
    known = np.isfinite(raw)
    fitted = fit(raw[known])
    notes = missing_reasons(known)
    if fitted.mixture is None:
        return nothing(
            "loss", settings, table, [f"The losses of the answers do not have two modes: {fitted.note}.", *notes]
        )
    bsi, (low, high), upper = bsi_paper(fitted.mixture), fitted.mixture.means, fitted.mixture.weights[1]
    scores = np.zeros(len(raw))
    scores[known] = 1 - fitted.posterior
    summary = (
        f"The untuned model's loss on the answers has modes at {low:.2f} and {high:.2f} nats a token, "
        f"{upper:.0%} of the samples in the upper one (separation {bsi:.2f})"
    )
    if bsi < settings.separation or upper > settings.share:
        needed = (
            f"to flag the upper mode, a separation of {settings.separation:g} and at most {settings.share:.0%} "
            "are needed."
        )
        return nothing("loss", settings, table, [f"{summary}; {needed}", *notes], scores, raw)
    flagged = np.zeros(len(raw), bool)
    flagged[known] = ~fitted.low
    mixture, reasons = fitted.mixture, [f"{summary}.", *notes]
    return result("loss", settings, table, flagged, scores, reasons, raw, cutoff=crossing(mixture), final=mixture)


DETECTOR = Detector(
    "loss",
    "Loss before fine-tuning",
    loss,
    LossSettings,
    "loss before fine-tuning",
    "nats a token",
    needs=("nll_before",),
    misses="It sees only answers that were unlikely before fine-tuning.",
)
