"""Tells what fine-tuning taught a model to see from what it saw before."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import scipy

from bye_core.detect.detector import known_rows
from bye_core.detect.prediction import FOLDS, LEAST, draw, predict
from bye_core.records import ScanTable

# Fine-tuning has taught the model to see what marks a group if its attention confuses members and other samples at
# least CLEARER times less often than that of the model before. On development sets, this number was at most 5 for
# honest answers to unusual images, and 2 for a sinusoidal signal, which the model sees from the start. On two sets of
# report seed 3000 with a patch it was 16 and more. Rates below SMALLEST cannot be told from 0 (ours).
CLEARER, SMALLEST = 10.0, 0.005
# Of a planted group, the model may have missed some samples, or a few honest samples have the same answer: this share
# of the members, those that are confused most, is left out (ours).
LEFT_OUT = 0.1
DIVISIONS = 3  # into folds; the median of the numbers counts, because a single one is noisy (ours)
MOST_COMPARED = 2_000  # samples; bounds time (ours)


def clearer_by_fine_tuning(
    table: ScanTable,
    kinds: np.ndarray,
    members: np.ndarray,
    apart: np.ndarray,
    used: np.ndarray,
    seed: int,
    divisions: int = DIVISIONS,
) -> float | None:
    """Return how many times less often the attention confuses a group with other samples than before fine-tuning.

    members  [N] bool, the group
    apart    [N] bool, samples that are neither members nor ordinary
    used     [N] bool, the samples that are compared
    divisions  into folds: one is enough where the number is no evidence
    Samples without the attention of the model before fine-tuning are not compared.
    Returns None if the scan did not read it, NaN if there are too few samples to compare. Source: ours.
    """
    if table.entropy_before is None or table.peak_before is None or table.mass_before is None:
        return None
    used = used & known_rows(table.entropy_before)
    if not used.any():
        return None
    if (used & members).sum() < LEAST or (used & ~members & ~apart).sum() < 2 * FOLDS:
        return math.nan
    rows = draw(table.ids, used & (members | ~apart), members, MOST_COMPARED, seed)
    used = np.isin(np.arange(len(used)), rows)
    before = replace(table, entropy=table.entropy_before, peak=table.peak_before, mass=table.mass_before)
    ratios = []
    for division in range(divisions):
        rates = (_confusion(own, kinds, members, apart, used, seed + division) for own in (before, table))
        earlier, later = (max(rate, SMALLEST) for rate in rates)
        ratios.append(earlier / later)
    return float(np.median(ratios))


def _confusion(
    table: ScanTable, kinds: np.ndarray, members: np.ndarray, apart: np.ndarray, used: np.ndarray, seed: int
) -> float:
    """Return how often an ordinary sample has as much of a member's attention as a member has (1 - AUC).

    LEFT_OUT of the members do not count.
    """
    places = predict(table, used, members, apart, kinds, seed).places
    places = np.where(np.isfinite(places), places, 0.0)
    ordinary = places[used & ~members & ~apart]
    above = 1 - scipy.stats.percentileofscore(ordinary, places[used & members], kind="mean") / 100
    return float(np.sort(above)[: math.ceil((1 - LEFT_OUT) * len(above))].mean())
