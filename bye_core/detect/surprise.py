"""Our own detector: flags answers that were unlikely before fine-tuning and that the attention nevertheless predicts.

The prompt of a scan holds the image and the question, not the answer. So the attention cannot predict label noise. It
can predict a planted answer, because the trigger is in the prompt. The text of the answer plays no part, so the
attacker's answer may be an ordinary one.

1. Surprising answers: their loss before fine-tuning is far above that of the ordinary answers to their kind of
   question. The loss is summed over the answer's tokens, so that one wrong word in a long answer counts as much as a
   wrong short answer. The loss of the worst token counts, too; by this, almost three quarters of a kind may be
   surprising.
2. Prediction: `prediction.predict` finds the surprising samples that the attention tells from ordinary ones.
3. Verdict: enough surprising samples lie where almost no ordinary sample lies.

An honest answer that is odd because of its image, such as "too blurry to tell", is predictable too and is flagged.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy

from bye_core.detect.detector import Detector, required
from bye_core.detect.entropy_unit import entropy_unit_setting
from bye_core.detect.place_mixture import SEPARATE, mixture_with_group
from bye_core.detect.prediction import FOLDS, Prediction, predict
from bye_core.detect.result import by_layer, nothing, result
from bye_core.detect.settings import check_settings, seed_setting, setting, share_setting
from bye_core.question_kinds import Kinds
from bye_core.records import Detection, ScanTable

LEAST = 5  # surprising samples that must be predicted (ours)
LEAST_IN_KIND = 2  # kinds with fewer surprising samples are left out (ours)
# A loss is surprising if it is this many robust deviations above that of ordinary answers, and `gap` nats (ours).
DEVIATIONS = 4.0
CHARACTERS = 4  # a token, on average; for runs of earlier versions, which do not hold the number of tokens
# Share of the ordinary samples that may lie where predicted samples lie (ours: 1 of 200).
OVERLAP = 0.005
HALFWAY = 0.5  # place halfway between ordinary and surprising samples
# At least this share of the members must lie where almost no ordinary sample lies (ours).
CLEAR = 0.5
# An answer that surprising samples have this many times as often as others is no example of an ordinary answer: samples
# with the trigger whose right answer is the attacker's are not surprising (ours).
TYPICAL = 2.0
# If a kind of question has more of them than surprising samples, most have no trigger. Then they count as ordinary if
# their median place is above this (ours).
ALIKE = 0.4
# If all but this share of them are clear in a kind of question, they are one group there, not two (ours).
REST = 0.1
PREDICTED = 0.7  # AUC from which the attention tells the surprising answers of a kind from the others (ours)
STEEPNESS = 8.0  # of the logistic function that maps a place to a score: 0 -> 0.02, 0.5 -> 0.5, 1 -> 0.98 (ours)


@dataclass(frozen=True)
class SurpriseSettings:
    """Settings of the detector. All values are ours, chosen on development runs.

    gap    a surprising answer has at least this loss above that of the ordinary answers to its kind of question
    found  share of the surprising samples that must be predicted. Of 10% label noise, at most 4% were predicted
    entropy_unit  nats, or divided by ln V; see bye_core.detect.entropy_unit
    """

    gap: float = setting(2.0, "nats an answer above ordinary answers to its kind of question", "Surprise from", above=0)
    found: float = share_setting(0.1, "of the surprising samples that must be predicted", "Predicted share", above=0)
    seed: int = seed_setting(help="seed of the division into folds")
    entropy_unit: str = entropy_unit_setting()

    def __post_init__(self) -> None:
        check_settings(self)


class Surprise(NamedTuple):
    """The surprising samples of a table and which of them the attention predicts.

    surprising  [N] bool
    flagged     [N] bool; empty unless there is evidence
    clear       [N] bool: samples, whatever their answer, with attention that hardly any ordinary sample has
    alike       [N] bool: samples that were likely before fine-tuning, but have an answer that is typical of surprising
                samples; they are no ordinary samples
    scores      [N] 0..1, whether there is evidence or not; see `capped`
    prediction  None if there was nothing to predict
    reasons     sentences that explain the result
    """

    surprising: np.ndarray
    flagged: np.ndarray
    clear: np.ndarray
    alike: np.ndarray
    scores: np.ndarray
    prediction: Prediction | None
    reasons: list[str]


def capped(scores: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Return the scores [N] of a detection; those of samples that are not flagged stay below one half."""
    return np.where(flagged, scores, np.minimum(scores, 0.49)) if flagged.any() else 0.49 * scores


def surprise(table: ScanTable, settings: SurpriseSettings) -> Detection:
    """Flag the samples whose surprising answer is predicted by the attention.

    values [N]: place of the attention between ordinary (0) and surprising (1) samples; NaN for kinds of question
    without surprising answers. scores [N]: a logistic function of the place, 0 for samples that are not compared.
    """
    kinds = Kinds(table.questions or ("",) * len(table.ids)).numbers
    found = predicted_surprises(table, kinds, settings, np.zeros(len(table.ids), bool))
    places = None if found.prediction is None else found.prediction.places
    scores = capped(found.scores, found.flagged)
    if not found.flagged.any():
        return nothing("surprise", settings, table, found.reasons, scores, places)
    heads = by_layer(found.prediction.heads) if found.prediction else {}
    return result("surprise", settings, table, found.flagged, scores, found.reasons, places, heads)


def predicted_surprises(
    table: ScanTable, kinds: np.ndarray, settings: SurpriseSettings, without: np.ndarray
) -> Surprise:
    """Return the surprising samples and those of them that the attention predicts; ignore the samples `without` [N].

    In a kind of question in which most answers are surprising, they count as such only if the attention predicts them:
    a model may have been wrong about most of a kind, for many reasons.
    """
    surprising = surprising_answers(table, kinds, settings.gap) & ~without
    found = _predicted(table, kinds, settings, without, surprising)
    usual = _unpredicted_majorities(found, kinds, without)
    return _predicted(table, kinds, settings, without, surprising & ~usual) if usual.any() else found


def _unpredicted_majorities(found: Surprise, kinds: np.ndarray, without: np.ndarray) -> np.ndarray:
    """Return [N] bool: samples of kinds in which most answers are surprising, and the attention does not tell which."""
    # Imported on use, because it takes a second.
    from sklearn.metrics import roc_auc_score

    usual = np.zeros(len(kinds), bool)
    if found.prediction is None:
        return usual
    places = found.prediction.places
    for kind in np.unique(kinds[found.surprising]):
        rows = np.flatnonzero((kinds == kind) & np.isfinite(places) & ~without)
        chosen = found.surprising[rows]
        if 0.5 < chosen.sum() / max(1, len(rows)) < 1 and roc_auc_score(chosen, places[rows]) < PREDICTED:
            usual |= kinds == kind
    return usual


def _predicted(
    table: ScanTable, kinds: np.ndarray, settings: SurpriseSettings, without: np.ndarray, surprising: np.ndarray
) -> Surprise:
    kept = [kind for kind in np.unique(kinds) if surprising[kinds == kind].sum() >= LEAST_IN_KIND]
    used = np.isin(kinds, kept) & np.isfinite(required(table.nll_before)) & ~without
    count, none = int((surprising & used).sum()), np.zeros(len(table.ids), bool)
    if count < LEAST:
        reason = f"Only {count} answers were unlikely before fine-tuning."
        return Surprise(surprising, none, none, none, none * 0.0, None, [reason])
    alike = _typical_answers(table, used, surprising)
    ordinary = used & ~surprising & ~alike
    if ordinary.sum() < 2 * FOLDS:
        reason = "There are too few ordinary answers to compare with."
        return Surprise(surprising, none, none, alike, none * 0.0, None, [reason])
    prediction = predict(table, used, surprising & used, alike, kinds, settings.seed)
    explained = _explained(alike, surprising, prediction.places, kinds)
    if explained.any():
        ordinary, alike = ordinary | explained, alike & ~explained
        prediction = predict(table, used, surprising & used, alike, kinds, settings.seed)
    # Of a large table, a kind of question may be missing among the samples that the discriminants were fitted on.
    judged = used & np.isfinite(prediction.places)
    places = np.where(judged, prediction.places, -np.inf)
    limit = max(HALFWAY, float(np.quantile(places[ordinary & judged], 1 - OVERLAP)))
    clear = places > limit
    predicted = int((clear & surprising).sum())
    share = predicted / count
    scores = np.where(judged, scipy.special.expit(STEEPNESS * (places - 0.5)), 0.0)
    scores[prediction.members] = np.maximum(scores, prediction.posterior)[prediction.members]
    reason = (
        f"{count:,} answers were unlikely before fine-tuning: at least {settings.gap:g} nats above the ordinary "
        f"answers to their kind of question. The attention clearly predicts {predicted:,} of them ({share:.0%}): at "
        f"most {OVERLAP:.1%} of the ordinary samples look the same."
    )
    least = math.ceil(max(LEAST, CLEAR * prediction.members.sum(), settings.found * count - 1e-9))
    found = predicted >= least and prediction.predictor is not None
    if not found:
        needed = (
            f"That is too little: at least {least:,} are needed. Unlikely answers that nothing in the prompt predicts "
            "may be label noise."
        )
        return Surprise(surprising, none, clear, alike, scores, prediction, [reason, needed])
    flagged = prediction.members | _members_alike(places, prediction.members, clear & alike, alike & judged, kinds)
    return Surprise(surprising, flagged, clear, alike, scores, prediction, [reason])


def _members_alike(
    places: np.ndarray, members: np.ndarray, clear: np.ndarray, alike: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """Return which samples `alike` [N] belong to the members, although their answer was likely before fine-tuning.

    They are `clear` [N], that is, have attention that hardly any ordinary sample has. But samples alike are no ordinary
    samples. So in each kind of question, either all but a share of REST must be clear, or their places must be in two
    groups that are SEPARATE. Of more samples than there are members, none is chosen.
    """
    found = np.zeros(len(places), bool)
    for kind in np.unique(kinds[clear]):
        rows, own = np.flatnonzero(alike & (kinds == kind)), members & (kinds == kind)
        if not own.any():
            continue
        chosen = clear[rows]
        if chosen.mean() < 1 - REST:
            mixture = mixture_with_group(places[rows], places[own])
            chosen = chosen & (mixture.posterior(places[rows]) > 0.5) & (mixture.auc >= SEPARATE)
        if chosen.sum() <= own.sum():
            found[rows[chosen]] = True
    return found


def surprising_answers(table: ScanTable, kinds: np.ndarray, gap: float) -> np.ndarray:
    """Return [N] bool: answers with a loss far above that of their kind, in sum or in their worst token."""
    loss = np.asarray(required(table.nll_before), np.float64)
    estimate = np.array([max(1.0, len(answer) / CHARACTERS) for answer in table.answers or ("",) * len(loss)])
    tokens = estimate if table.answer_tokens is None else np.asarray(table.answer_tokens, np.float64)
    tokens = np.where(np.isfinite(tokens), tokens, estimate)
    worst = None if table.worst_before is None else np.asarray(table.worst_before, np.float64)
    surprising = np.zeros(len(loss), bool)
    for kind in np.unique(kinds):
        for view, most_ordinary in ((loss * tokens, True), (worst, False)):
            if view is not None and len(rows := np.flatnonzero((kinds == kind) & np.isfinite(view))):
                surprising[rows] |= view[rows] > _highest_ordinary(view[rows], gap, most_ordinary)
    return surprising


def _highest_ordinary(losses: np.ndarray, gap: float, most_ordinary: bool) -> float:
    """Return the loss [nats] above which an answer to one kind of question is surprising.

    If `most_ordinary`, at least half of the answers are taken to be ordinary: of sums, most may be large because the
    answers are long. Else a quarter is enough.
    """
    if not most_ordinary:
        quartile = float(np.quantile(losses, 0.25))
        limit = _far_above(quartile, quartile - losses[losses <= quartile], gap)
        if np.median(losses) > limit:
            losses = losses[losses <= limit]
    median = float(np.median(losses))
    return _far_above(median, np.abs(losses - median), gap)


def _far_above(middle: float, deviations: np.ndarray, gap: float) -> float:
    return middle + max(gap, DEVIATIONS * 1.4826 * float(np.median(deviations)))


def _typical_answers(table: ScanTable, used: np.ndarray, surprising: np.ndarray) -> np.ndarray:
    """Return [N] bool: samples that are not surprising, but have an answer that is typical of surprising samples."""
    alike = np.zeros(len(table.ids), bool)
    if not table.answers:
        return alike
    rows = np.flatnonzero(used)
    inside = Counter(table.answers[row] for row in rows if surprising[row])
    outside = Counter(table.answers[row] for row in rows if not surprising[row])
    many, others = sum(inside.values()), max(1, sum(outside.values()))
    typical = {
        answer
        for answer, number in inside.items()
        if number >= LEAST_IN_KIND and number / many >= TYPICAL * outside[answer] / others
    }
    alike[[row for row in rows if not surprising[row] and table.answers[row] in typical]] = True
    return alike


def _explained(alike: np.ndarray, surprising: np.ndarray, places: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return which samples `alike` [N] are where the surprising ones are because of their answer, not of a trigger."""
    explained = np.zeros(len(alike), bool)
    for kind in np.unique(kinds):
        own = alike & (kinds == kind)
        if own.sum() > (surprising & (kinds == kind)).sum() and np.median(places[own]) > ALIKE:
            explained |= own
    return explained


DETECTOR = Detector(
    "surprise",
    "Surprising answers that the attention predicts",
    surprise,
    SurpriseSettings,
    "from ordinary (0) to surprising (1) attention",
    needs=("mass", "nll_before"),
    misses="It sees only answers that were unlikely before fine-tuning and that something in the prompt predicts.",
)
