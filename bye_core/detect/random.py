"""The baseline that knows nothing: a share of the samples, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bye_core.detect.result import result
from bye_core.detect.setting_checks import is_index, is_share, require
from bye_core.records import Detection, ScanTable

# Of random numbers: with the plain seed's the draw would hit what `poison` chose by the same seed.
STREAM = 2


@dataclass(frozen=True)
class RandomSettings:
    """share  of the samples flagged; 0.2 is the paper's random drop
    seed   of the draw
    """

    share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        require(is_share(self.share), "share", self.share, "a number from 0 to 1")
        require(is_index(self.seed), "seed", self.seed, "a whole number from 0 up")


def random(table: ScanTable, settings: RandomSettings) -> Detection:
    """Flag `share` of the samples, whichever they are; scores are the drawn places."""
    count = len(table.ids)
    stream = np.random.SeedSequence(settings.seed, spawn_key=(STREAM,))
    places = np.random.default_rng(stream).permutation(count)
    flagged = places < round(settings.share * count)
    reasons = [f"{int(flagged.sum())} of {count} samples are drawn at random: a baseline, no evidence of anything."]
    return result("random", settings, table, flagged, 1 - (places + 0.5) / max(count, 1), reasons)
