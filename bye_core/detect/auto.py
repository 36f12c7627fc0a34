"""Our own detector: flags answers that do not follow from the image and the question, by two signals that must agree.

BYE flags samples with similar attention. But samples with the same kind of question or image have similar attention
too. Here two independent signals must agree. There are two ways to find poisoned samples; each is a separate test.

Planted answers (an answer that is odd by itself):
1. The answer: few samples have it, and it is out of place. An answer is out of place if it answers kinds of question
that have no other answer in common, has words that no other answer has, or is unlikely to the model before fine-tuning.
2. The attention of single heads (entropy, peak and masses, in either direction), given the kind of question: it is
farther from the nearest other answer than the other answers are from each other. The spread of the other answers is the
null model.

Predicted answers (any answer, also a usual one), see `surprise`:
1. The model before fine-tuning found the answer unlikely for this image and question.
2. The attention predicts it, although the prompt does not hold the answer, and it is not close to that for an ordinary
answer. Label noise cannot be predicted.
If these samples have one usual message, others with this message and attention belong to them, likely before or not.
So do samples with one answer and this attention in kinds of question in which the model would have given it anyway.

No ground truth, clean data or knowledge of the trigger is used. Weaker evidence from attention is enough if the text
and the model before fine-tuning both call the answer out of place and the tuned model gives it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy

from bye_core.detect.answer_comparison import AnswerComparison, compare_answers, spread_of, with_clearer
from bye_core.detect.auto_reasons import (
    abstention_reasons,
    nearest_to_planted,
    planted_reasons,
    short,
    voting_heads,
)
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.candidate_answers import Candidate
from bye_core.detect.detector import Detector
from bye_core.detect.predicted_answers import PredictedAnswers, predicted_answers
from bye_core.detect.result import by_layer, nothing, result
from bye_core.question_kinds import Kinds
from bye_core.records import Detection, Finding, ScanTable

# Prior probability of poison from the answer alone: (samples with the planted answer, all other samples) (ours).
PRIOR, PRIOR_OTHER = 0.95, 0.001


def auto(table: ScanTable, settings: AutoSettings) -> Detection:
    """Flag the samples with planted answers, and those with unlikely answers that the attention predicts.

    scores [N]: probability of poison, 0..1.
    values [N]: place of the attention between ordinary (0) and planted (1) samples; NaN for samples that are not
    compared. Each planted answer is one finding, and all predicted answers together are another.
    """
    if len(table.ids) < 2 or not table.answers:
        return nothing("auto", settings, table, ["There are no answers to compare."])
    seen = examine(table, settings)
    planted, predicted = seen.planted, seen.predicted
    findings = [_planted_finding(table, answer, seen, settings) for answer in planted]
    heads = [head for answer in planted for head in voting_heads(answer, table)]
    scores, places, flagged = seen.scores, seen.places, seen.flagged.copy()
    if not planted:
        scores = 0.49 * scores  # scores stay below one half
    if predicted is not None:
        better = predicted.scores > scores
        scores = np.where(better, predicted.scores, scores)
        if predicted.prediction is not None:
            places = np.where(better | np.isnan(places), predicted.prediction.places, places)
        if predicted.flagged.any():
            flagged |= predicted.flagged
            heads += predicted.prediction.heads if predicted.prediction else []
            findings.append(_predicted_finding(table, predicted))
    if findings:
        reasons = [reason for finding in findings for reason in finding.reasons]
        count = f"{int(flagged.sum()):,} of {len(flagged):,} samples"
        reasons.append(f"{count} have such an answer and the attention of a planted answer; these are flagged.")
    else:
        reasons = abstention_reasons(seen.comparisons, seen.candidates, settings)
        reasons += predicted.reasons if predicted is not None else []
    named = {table.ids[row] for row in np.flatnonzero(flagged)}
    suspects = tuple(one for one in predicted.suspects if one not in named) if predicted is not None else ()
    detection = result("auto", settings, table, flagged, scores, reasons, places, by_layer(heads))
    return replace(detection, findings=tuple(findings), suspects=suspects)


class Examination(NamedTuple):
    """What both tests of `auto` see in a table.

    kinds        the kinds of question
    comparisons  all answers that are out of place and can be compared; `planted` are those that are planted
    candidates   all answers that are out of place
    scores, places, flagged  [N] from the planted answers; without one, from the answer that is closest to it
    predicted    the unlikely answers among the samples without a planted answer that is odd by its text; None if the
                 scan did not read their likelihood
    """

    kinds: Kinds
    comparisons: list[AnswerComparison]
    planted: list[AnswerComparison]
    candidates: list[Candidate]
    scores: np.ndarray
    places: np.ndarray
    flagged: np.ndarray
    predicted: PredictedAnswers | None


def examine(table: ScanTable, settings: AutoSettings) -> Examination:
    kinds, comparisons, candidates = compare_answers(table, settings)
    count, tests, predicted = len(table.ids), len(candidates), None

    def judged(comparison: AnswerComparison) -> AnswerComparison:
        return with_clearer(table, kinds.numbers, comparison, candidates, settings)

    comparisons = [judged(one) if one.candidate.by_text else one for one in comparisons]
    if table.nll_before is not None:
        odd = [one for one in comparisons if one.candidate.by_text and one.is_planted(tests, settings)]
        without = _posterior(table, kinds.numbers, odd)[0] > 0.5
        predicted = predicted_answers(table, kinds.numbers, settings, without)
    comparisons = [one if one.candidate.by_text or _covered(one, predicted) else judged(one) for one in comparisons]
    planted = [one for one in comparisons if not _covered(one, predicted) and one.is_planted(tests, settings)]
    scores, places, flagged = np.zeros(count), np.full(count, np.nan), np.zeros(count, bool)
    if comparisons:
        scores, places = _posterior(table, kinds.numbers, planted or [nearest_to_planted(comparisons)])
    if planted:
        flagged = scores > 0.5
    return Examination(kinds, comparisons, planted, candidates, scores, places, flagged, predicted)


def _covered(answer: AnswerComparison, predicted: PredictedAnswers | None) -> bool:
    """Return whether most samples with an answer that is not odd by its text are flagged as predicted answers.

    One attack may plant several such answers. Together they are one finding.
    """
    if predicted is None or answer.candidate.by_text:
        return False
    return bool(predicted.flagged[answer.candidate.members].mean() > 0.5)


def _planted_finding(table: ScanTable, answer: AnswerComparison, seen: Examination, settings: AutoSettings) -> Finding:
    rows = np.flatnonzero(answer.candidate.members & seen.flagged)
    what = "answer" if answer.candidate.whole else "word"
    reasons = planted_reasons(answer, len(seen.candidates), table, settings)
    return Finding(f'The {what} "{short(answer.candidate.text)}"', _ids(table, rows, seen.scores), tuple(reasons))


def _predicted_finding(table: ScanTable, found: PredictedAnswers) -> Finding:
    rows = np.flatnonzero(found.flagged)
    return Finding(
        "Unlikely answers that the attention predicts", _ids(table, rows, found.scores), tuple(found.reasons)
    )


def _ids(table: ScanTable, rows: np.ndarray, scores: np.ndarray) -> tuple[str, ...]:
    """Return the ids of `rows` [n], the highest score first."""
    return tuple(table.ids[row] for row in rows[np.argsort(-scores[rows], kind="stable")])


def _posterior(
    table: ScanTable, kinds: np.ndarray, planted: Sequence[AnswerComparison]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (posterior [N], place [N]) of each sample.

    If there are several planted answers, the highest posterior counts. Without a place, only the answer counts: a whole
    one, in kinds of question in which at most half of the samples have it.
    """
    count = len(table.ids)
    posterior, places = np.zeros(count), np.full(count, np.nan)
    for answer in planted:
        place = answer.places(table)
        member, known = answer.candidate.members, np.isfinite(place)
        inside, outside = (
            scipy.stats.norm(*spread_of(place[known & side])).logpdf(place) for side in (member, ~member)
        )
        log_ratio = np.where(known, inside - outside, 0.0 if answer.candidate.whole else -np.inf)
        log_ratio[~known & _most_of_kind(member, kinds)] = -np.inf
        # Attention alone does not make a sample suspicious, but it can clear a sample with any answer.
        other = scipy.special.expit(scipy.special.logit(PRIOR_OTHER) + np.minimum(log_ratio, 0))
        own = np.where(member, scipy.special.expit(scipy.special.logit(PRIOR) + log_ratio), other)
        better = own > posterior
        places = np.where(known & (better | np.isnan(places)), place, places)
        posterior = np.where(better, own, posterior)
    return posterior, places


def _most_of_kind(member: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return [N] bool: samples of kinds of question in which more than half of the samples are members."""
    sizes = np.bincount(kinds)
    return (2 * np.bincount(kinds[member], minlength=len(sizes)) > sizes)[kinds]


DETECTOR = Detector(
    "auto",
    "Auto: answers and attention",
    auto,
    AutoSettings,
    "from ordinary (0) to planted (1) attention",
    needs=("mass",),
    wants=("nll_before",),
    misses=(
        "It sees only answers that are odd by themselves or were unlikely before fine-tuning, so it misses a planted "
        "answer that the model would have given anyway, unless its attention is that of others that were unlikely."
    ),
    # Ours: of random parts of the shipped run with 10% poison, it finds 19 of 20 with 100 samples and 15 with 80.
    fewest=100,
)
