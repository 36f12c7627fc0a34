"""How unlikely a sample's answer is to the model before fine-tuning, after BYORn (METHOD, section 3).

"BYORn-like": the published idea, mean negative log-likelihood of the answer under the untuned model, high for planted
answers. How it is thresholded is not known here; ours is a two-component mixture with BYE's separation as the bar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bye_core.detect.hidden_states import missing_reasons
from bye_core.detect.mixture import bsi_paper, crossing, fit
from bye_core.detect.result import nothing, result
from bye_core.detect.setting_checks import is_number, is_share, require
from bye_core.records import Detection, ScanTable


@dataclass(frozen=True)
class LossSettings:
    """separation  how far the two modes must be apart, as BYE's BSI (Eq. 7): 2.0
    share       the unlikely mode is suspicious up to this share of the samples; 0.5: a minority (ours)
    """

    separation: float = 2.0
    share: float = 0.5

    def __post_init__(self) -> None:
        holds = is_number(self.separation) and self.separation >= 0
        require(holds, "separation", self.separation, "a number that is not negative")
        require(is_share(self.share), "share", self.share, "a number from 0 to 1")


def loss(table: ScanTable, settings: LossSettings) -> Detection:
    """Flag the samples in the high mode of nll_before [N], nats a token (`values`); scores are its posterior."""
    raw = np.asarray(table.nll_before, np.float64)
    known = np.isfinite(raw)
    found = fit(raw[known])
    more = missing_reasons(known)
    if found.mixture is None:
        return nothing("loss", settings, table, [f"No two modes of the answers' loss: {found.note}.", *more])
    bsi, (low, high), share = bsi_paper(found.mixture), found.mixture.means, found.mixture.weights[1]
    scores = np.zeros(len(raw))
    scores[known] = 1 - found.posterior
    said = (
        f"The untuned model's loss on the answers has modes at {low:.2f} and {high:.2f} nats a token, "
        f"{share:.0%} of the samples in the upper one (separation {bsi:.2f})"
    )
    if bsi < settings.separation or share > settings.share:
        needed = f"{settings.separation:g} and at most {settings.share:.0%} are needed."
        return nothing("loss", settings, table, [f"{said}; {needed}", *more], scores, raw)
    flagged = np.zeros(len(raw), bool)
    flagged[known] = ~found.low
    ends = {"cutoff": crossing(found.mixture), "final": found.mixture}
    return result("loss", settings, table, flagged, scores, [f"{said}.", *more], raw, **ends)
