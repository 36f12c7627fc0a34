"""Baseline: flags a share of the samples at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bye_core.detect.detector import Detector
from bye_core.detect.result import result
from bye_core.detect.settings import check_settings, seed_setting, share_setting
from bye_core.records import Detection, ScanTable

# A separate random stream: with the plain seed, the draw would repeat the choice of `poison` with the same seed.
STREAM = 2


@dataclass(frozen=True)
class RandomSettings:
    """Settings of the random baseline. The default share is that of the paper's random removal."""

    share: float = share_setting(0.2, "share of the samples that is always flagged", "Share flagged")
    seed: int = seed_setting("Seed")

    def __post_init__(self) -> None:
        check_settings(self)


def random(table: ScanTable, settings: RandomSettings) -> Detection:
    """Flag a random `share` of the samples.

    The scores are the ranks of the samples in the random order, scaled to 0..1.
    """
    count = len(table.ids)
    stream = np.random.SeedSequence(settings.seed, spawn_key=(STREAM,))
    places = np.random.default_rng(stream).permutation(count)
    flagged = places < round(settings.share * count)
    reasons = [f"{int(flagged.sum()):,} of {count:,} samples are drawn at random: a baseline, no evidence of anything."]
    return result("random", settings, table, flagged, 1 - (places + 0.5) / max(count, 1), reasons)


DETECTOR = Detector(
    "random",
    "Baseline: random",
    random,
    RandomSettings,
    "nothing",
    misses="It flags random samples, so it detects nothing.",
)
