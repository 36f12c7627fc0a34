"""Decides whether unlikely answers that the attention predicts are evidence, for `auto`."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from bye_core.detect.answer_comparison import AutoSettings, compare_candidate
from bye_core.detect.auto_reasons import short
from bye_core.detect.candidate_answers import LEAST_IN_KIND, Candidate
from bye_core.detect.prediction import Prediction
from bye_core.detect.result import named_heads
from bye_core.detect.surprise import SurpriseSettings, predicted_surprises
from bye_core.records import ScanTable

LISTED = 3  # answers that are named
MOST_SUSPECTS = 50  # samples that are worth a look


class PredictedAnswers(NamedTuple):
    """Unlikely answers that the attention predicts.

    flagged     [N] bool; empty unless there is evidence
    scores      [N] 0..1, below one half for samples that are not flagged
    prediction  None if there was nothing to predict
    reasons     sentences that explain the result
    suspects    ids of samples that are predicted without sufficient evidence, the most suspicious first
    """

    flagged: np.ndarray
    scores: np.ndarray
    prediction: Prediction | None
    reasons: list[str]
    suspects: tuple[str, ...] = ()


def predicted_answers(
    table: ScanTable, kinds: np.ndarray, settings: AutoSettings, without: np.ndarray
) -> PredictedAnswers:
    """Find unlikely answers that the attention predicts among all samples but those in `without` [N] bool.

    They are evidence only if their attention is not close to that for an ordinary answer. Honest answers that are rare,
    such as "too blurry to tell", may be predicted from the image, but their attention is close to that for others.
    """
    found = predicted_surprises(table, kinds, SurpriseSettings(settings.gap, settings.found, settings.seed), without)
    flagged, scores, reasons = found.flagged, found.scores, found.reasons
    members = np.zeros(len(flagged), bool) if found.prediction is None else found.prediction.members
    if flagged.any():
        reasons = [*reasons, _most_frequent(table, flagged)]
        if found.prediction is not None:
            reasons.append(f"The attention differs most in these heads: {named_heads(found.prediction.heads)}.")
        reasons.append(
            "Honest answers that fit only unusual images look the same. To tell them apart, run detect with --confirm, "
            "or inspect some of these samples."
        )
        distance = _distance(table, kinds, members, settings)
        if distance is not None and distance < settings.usual:
            reasons.append(
                f"But the attention is only {distance:.1f} times the usual distance from that for the nearest ordinary "
                "answer, so these may be honest answers to unusual images; inspect these samples."
            )
            flagged, scores = np.zeros(len(flagged), bool), 0.49 * scores
    suspects = np.flatnonzero(members & ~flagged)
    order = suspects[np.argsort(-found.scores[suspects], kind="stable")][:MOST_SUSPECTS]
    return PredictedAnswers(flagged, scores, found.prediction, reasons, tuple(table.ids[row] for row in order))


def _distance(table: ScanTable, kinds: np.ndarray, members: np.ndarray, settings: AutoSettings) -> float | None:
    """Return the distance of the members' attention from the nearest ordinary answer, relative to the usual distance.

    None if there is nothing to compare with.
    """
    asked = tuple(int(kind) for kind in np.unique(kinds) if (members & (kinds == kind)).sum() >= LEAST_IN_KIND)
    comparison = compare_candidate(table, kinds, Candidate("", True, members, asked, ()), settings)
    return None if comparison is None else float(np.exp(comparison.apart[0]))


def _most_frequent(table: ScanTable, flagged: np.ndarray) -> str:
    counts = Counter(table.answers[row] for row in np.flatnonzero(flagged))
    names = "; ".join(f'"{short(answer)}" ({number:,})' for answer, number in counts.most_common(LISTED))
    return f"The most frequent of {len(counts):,} such answers: {names}."
