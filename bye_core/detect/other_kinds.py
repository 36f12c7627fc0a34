"""Finds planted answers in kinds of question in which they did not stand out before fine-tuning, for `auto`.

There the model would have given them anyway, so nothing tells which samples to look at. But the samples that were found
in other kinds tell what their attention has in common.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import scipy

from bye_core.detect.place_mixture import LEAST, SEPARATE, mixture_with_group
from bye_core.detect.prediction import Prediction
from bye_core.detect.usual_message import plain
from bye_core.records import ScanTable

# The samples of a kind with the attention of the group are planted if at least a share of ONE of them have one answer,
# if so many of them would have it by chance in fewer than CHANCE of the sets, and if they are at most a share of MOST
# of the kind. In kinds without poison, whose attention differs for other reasons, at most 0.6 of them had one answer
# (ours).
ONE, CHANCE, MOST = 0.8, 0.05, 0.45


def planted_in_other_kinds(
    table: ScanTable, kinds: np.ndarray, prediction: Prediction, without: np.ndarray, seed: int
) -> tuple[np.ndarray, Prediction]:
    """Return (chances [N], `prediction` with the kinds of question in which further samples belong to the group).

    A chance is the probability that a sample of a kind that was not judged belongs to the group. It is 0 but for
    samples with the attention of the group's members; those of one kind have the same answer.
    without [N] bool: samples that are left out
    """
    found = np.zeros(len(table.ids))
    if prediction.predictor is None or not table.answers:
        return found, prediction
    group = prediction.places[prediction.members]
    others = [int(kind) for kind in np.unique(kinds) if not np.isfinite(prediction.places[kinds == kind]).any()]
    known, predictor = prediction.places.copy(), prediction.predictor
    for kind in others:
        rows = np.flatnonzero((kinds == kind) & ~without)
        if len(rows) < 2 * LEAST:
            continue
        wider = predictor.with_kind(table, rows, kind, seed)
        places = wider.places(table, rows, kinds[rows])
        mixture = mixture_with_group(places, group)
        chances = mixture.posterior(places)
        chosen = chances > 0.5
        count = int(chosen.sum())
        if mixture.auc < SEPARATE or not LEAST <= count <= MOST * len(rows):
            continue
        answers = [plain(table.answers[row]) for row in rows.tolist()]
        ((answer, same),) = Counter(np.array(answers, object)[chosen].tolist()).most_common(1)
        having = np.array([own == answer for own in answers])
        by_chance = scipy.stats.hypergeom.sf(same - 1, len(rows), having.sum(), count)
        if answer and same >= ONE * count and by_chance * len(others) <= CHANCE:
            found[rows[chosen & having]] = chances[chosen & having]
            known[rows], predictor = places, wider
    return found, prediction._replace(places=known, predictor=predictor)
