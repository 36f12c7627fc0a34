"""Decides whether unlikely answers that the attention predicts are evidence, for `auto`."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from bye_core.answer_parts import common_beginning
from bye_core.detect.answer_comparison import compare_candidate
from bye_core.detect.auto_reasons import beginning_reason, clearer_reason, seen_before_reason, short
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.before_fine_tuning import CLEARER, clearer_by_fine_tuning
from bye_core.detect.candidate_answers import LEAST_IN_KIND, Candidate
from bye_core.detect.other_kinds import planted_in_other_kinds
from bye_core.detect.place_mixture import SEPARATE, mixture_with_group
from bye_core.detect.prediction import Prediction
from bye_core.detect.rare_word import RareWord, rare_word
from bye_core.detect.result import named_heads
from bye_core.detect.surprise import LEAST, Surprise, SurpriseSettings, capped, predicted_surprises
from bye_core.detect.usual_message import SAME, UsualMessage, usual_message
from bye_core.records import ScanTable

LISTED = 3  # answers that are named
MOST_SUSPECTS = 1_000  # samples that are worth a look; a few of them are asked about in `detect --confirm`
# Words behind the members' answers may be those of at most this share of the other samples (ours).
ELSEWHERE = 0.02
# A usual message to a kind of question is planted if at least a share of HAVE of the members have one message to their
# kind, if more than a share of MOST ask a kind whose message is usual, if at least a share of MOST of the unlikely
# answers are members, and if the attention of members differs from that for the same message elsewhere: with at least
# this AUC, and by at least so many standard deviations. Planted messages with a patch or a word had an AUC of 0.99 and
# more, with a blended image 0.72 and 0.73; of label noise, no group is predicted (ours, development sets).
HAVE, MOST, APART, DEVIATIONS = 0.4, 0.5, 0.7, 3.0
# A usual message to one kind of question must be clearer by fine-tuning (`clearer_by_fine_tuning`): images of a sort
# that the model misjudged before have one right answer, too. In 43 sets that were made so it was at most 3.7, for a
# patch 12 and more, for a blended image 4.1 and 4.4 (ours; chosen on these sets).
CLEARER_MESSAGE = 4.0


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

    They are evidence if fine-tuning has made them predictable. Honest answers to unusual images, such as "too blurry to
    tell", and to images that the model misjudged before, may be predicted too. But the model before fine-tuning attends
    differently to such images already, while it hardly notices a trigger in an image. They are evidence, too, if many
    have one usual message to their kind of question, in several kinds, and attention that other samples with this
    message lack. Without such a message, they are no evidence if their attention is close to that for an ordinary
    answer.
    """
    found = predicted_surprises(table, kinds, SurpriseSettings(settings.gap, settings.found, settings.seed), without)
    flagged, scores, reasons = found.flagged, found.scores, found.reasons
    if found.prediction is None:
        return PredictedAnswers(flagged, scores, None, reasons)
    prediction = found.prediction
    members, heads = prediction.members, prediction.heads
    message = _planted_message(table, kinds, found)
    judged = np.isfinite(prediction.places)
    ordinary = judged & ~members & ~found.clear
    word = rare_word(table, kinds, members, ordinary) if message or flagged.any() else None
    planted, verdict = False, ""
    if message:
        chances = _likely_before(kinds, found, message)
        scores, further = np.maximum(scores, chances), chances > 0.5
        flagged = (members & (message.having | found.clear)) | further
        reasons = reasons[:1]  # the second says why `surprise` flags nothing
        planted, why = _behind_message(table, kinds, found, ordinary, word, message, settings)
        verdict = f"{_message_reason(message, kinds, members, int(further.sum()))} {why}"
    elif flagged.any():
        planted, verdict = False, _near_reason(table, kinds, found, without, settings)
        if not verdict:
            planted, verdict = _fine_tuned(table, kinds, found, ordinary, word, settings)
    if verdict:
        heads_reason = f"The attention differs most in these heads: {named_heads(heads)}."
        reasons = [*reasons, _most_frequent(table, flagged), *beginning_reason(table, flagged), heads_reason]
        if word:
            reasons += [
                f'Their questions have the word "{word.text}", which hardly any ordinary question has. If this word '
                "asks for such answers, they are honest; inspect some."
            ]
        reasons += [verdict]
    if planted:
        chances, prediction = planted_in_other_kinds(table, kinds, prediction, without, settings.seed)
        flagged, scores = flagged | (chances > 0), np.maximum(scores, chances)
        if chances.any():
            reasons += [_elsewhere_reason(table, chances > 0)]
    elif verdict:
        flagged = np.zeros(len(flagged), bool)
    predictor = prediction.predictor
    if predictor is None or predictor.mixture.auc < SEPARATE:
        members = members & found.clear  # the places of members and of ordinary samples overlap
    suspects = np.flatnonzero(members & ~flagged)
    order = suspects[np.argsort(-scores[suspects], kind="stable")][:MOST_SUSPECTS]
    return PredictedAnswers(
        flagged, capped(scores, flagged), prediction, reasons, tuple(table.ids[row] for row in order)
    )


def _planted_message(table: ScanTable, kinds: np.ndarray, found: Surprise) -> UsualMessage | None:
    """Return the usual messages to kinds of question that are planted; None if there are none."""
    assert found.prediction is not None
    members = found.prediction.members
    if members.sum() < max(LEAST, MOST * found.surprising.sum()):
        return None
    message = usual_message(table, kinds, members, ~members & ~found.surprising, found.prediction.places)
    enough = message.share > MOST and (message.having & members).sum() >= HAVE * members.sum()
    return message if enough and message.auc >= max(APART, 0.5 + DEVIATIONS * message.error) else None


def _likely_before(kinds: np.ndarray, found: Surprise, message: UsualMessage) -> np.ndarray:
    """Return [N] the probabilities that samples have a planted message, although it was likely before fine-tuning.

    Their places are compared with those of members and of all other samples with the same message to the same kind of
    question. The probability is 0 for samples whose attention is not clearly unusual (`found.clear`, which bounds the
    false alarms), and in kinds in which the places overlap too much.
    """
    assert found.prediction is not None
    places, members = found.prediction.places, found.prediction.members
    chances = np.zeros(len(members))
    having = message.having & np.isfinite(places)
    for kind in np.unique(kinds[having & members]):
        rest = np.flatnonzero(having & ~members & ~found.surprising & (kinds == kind))
        if not len(rest):
            continue
        mixture = mixture_with_group(places[rest], places[having & members & (kinds == kind)])
        if mixture.auc >= SEPARATE:
            chances[rest] = mixture.posterior(places[rest])
    return np.where(found.clear, chances, 0.0)


def _behind_message(
    table: ScanTable,
    kinds: np.ndarray,
    found: Surprise,
    ordinary: np.ndarray,
    word: RareWord | None,
    message: UsualMessage,
    settings: AutoSettings,
) -> tuple[bool, str]:
    """Return (whether a trigger is behind usual messages, not images of a sort, a sentence that explains it).

    Several kinds of question with such a message are taken as evidence: a model that misjudged images of one sort may
    have done so in one kind. That is our choice; it may have done so in several.
    """
    assert found.prediction is not None
    having = message.having & found.prediction.members
    several = sum((having & (kinds == kind)).sum() >= LEAST for kind in message.kinds) > 1
    if not several or (word and word.inserted):
        return _fine_tuned(table, kinds, found, ordinary, word, settings, CLEARER_MESSAGE)
    why = "That is so in several kinds of question, as behind a trigger."
    times = _clearer(table, kinds, found, settings)
    if times is None or math.isnan(times):
        return True, why
    known = clearer_reason(times, CLEARER_MESSAGE) if times >= CLEARER_MESSAGE else seen_before_reason(times)
    return True, f"{why} {known}"


def _message_reason(message: UsualMessage, kinds: np.ndarray, members: np.ndarray, further: int) -> str:
    having = message.having & members & np.isin(kinds, message.kinds)
    count = f"{int(having.sum()):,} of the {int(members.sum()):,} predicted samples"
    sentence = (
        f"{count} have one usual answer to their kind of question, or one usual part of it, but attention that differs "
        f"from that of other samples with this answer (AUC {message.auc:.2f}). Most honest answers differ from image "
        "to image, or have the usual attention."
    )
    more = f" Samples with the same message and attention whose answer was likely before fine-tuning: {further:,}."
    return sentence + more if further else sentence


def _near_reason(
    table: ScanTable, kinds: np.ndarray, found: Surprise, without: np.ndarray, settings: AutoSettings
) -> str:
    """Return a sentence if the attention of the members is close to that for an ordinary answer; "" if not."""
    assert found.prediction is not None
    distance = _distance(table, kinds, found.prediction.members, found.alike | without, settings)
    if distance is None or distance >= settings.usual:
        return ""
    return (
        f"But the attention is only {distance:.1f} times the usual distance from that for the nearest ordinary "
        "answer, so these may be honest answers to unusual images; inspect these samples."
    )


def _fine_tuned(
    table: ScanTable,
    kinds: np.ndarray,
    found: Surprise,
    ordinary: np.ndarray,
    word: RareWord | None,
    settings: AutoSettings,
    needed: float = CLEARER,
) -> tuple[bool, str]:
    """Return (whether fine-tuning, not the images, made unlikely answers predictable, a sentence that explains it).

    needed: how many times less often the attention must confuse them with ordinary samples than before fine-tuning
    An inserted word, and the same words behind different answers, are evidence whatever the model saw before.
    """
    assert found.prediction is not None
    if word and word.inserted:
        return True, f'So the word "{word.text}" is probably the trigger.'
    times = _clearer(table, kinds, found, settings)
    if times is None or times >= needed:
        return True, clearer_reason(times, needed)
    appended = _appended(table, found.prediction.members, ordinary)
    if appended and not math.isnan(times):
        return True, f"{appended} {seen_before_reason(times)}"
    return False, clearer_reason(times, needed)


def _appended(table: ScanTable, members: np.ndarray, ordinary: np.ndarray) -> str:
    """Return a sentence if most members have the same unlikely words behind different answers; "" if not.

    ordinary [N] bool: samples of which hardly any has these words
    """
    rows = np.flatnonzero(members).tolist()
    beginning = common_beginning(table, rows)
    if beginning is None:
        return ""
    parts = [table.answers[row].partition(beginning.text) for row in rows]
    before = {first.strip() for first, words_there, _ in parts if words_there} - {""}
    having = sum(bool(words_there) for _, words_there, _ in parts)
    elsewhere = sum(beginning.text in table.answers[row] for row in np.flatnonzero(ordinary).tolist())
    if having < SAME * len(rows) or len(before) < LEAST or elsewhere > ELSEWHERE * ordinary.sum():
        return ""
    return f'The same words, "{short(beginning.text)}", follow {len(before):,} different answers in {having:,} samples.'


def _clearer(table: ScanTable, kinds: np.ndarray, found: Surprise, settings: AutoSettings) -> float | None:
    """Return how much clearer the attention of the members has become by fine-tuning (`clearer_by_fine_tuning`)."""
    assert found.prediction is not None
    # Members were chosen by the attention of the tuned model. Others with their answers are as good an example.
    group = found.prediction.members.copy()
    if table.answers:
        answers = {table.answers[row] for row in np.flatnonzero(group)}
        group[[row for row in np.flatnonzero(found.surprising) if table.answers[row] in answers]] = True
    used = np.isfinite(found.prediction.places)
    apart = (found.surprising | found.alike) & ~group
    return clearer_by_fine_tuning(table, kinds, group & used, apart, used, settings.seed)


def _distance(
    table: ScanTable, kinds: np.ndarray, members: np.ndarray, others: np.ndarray, settings: AutoSettings
) -> float | None:
    """Return the distance of the members' attention from the nearest ordinary answer, relative to the usual distance.

    others [N] bool: samples that are neither members nor ordinary
    None if there is nothing to compare with.
    """
    asked = tuple(int(kind) for kind in np.unique(kinds) if (members & (kinds == kind)).sum() >= LEAST_IN_KIND)
    candidate = Candidate("", True, members, asked, ())
    comparison = compare_candidate(table, kinds, candidate, settings, others & ~members)
    return None if comparison is None else float(np.exp(comparison.apart[0]))


def _elsewhere_reason(table: ScanTable, found: np.ndarray) -> str:
    answers = Counter(table.answers[row] for row in np.flatnonzero(found))
    ranked = sorted(answers, key=lambda answer: (-answers[answer], answer))
    names = ", ".join(f'"{short(answer)}"' for answer in ranked[:LISTED]) + (", …" if len(ranked) > LISTED else "")
    return (
        f"{int(found.sum()):,} more samples have this attention and one answer to their kind of question ({names}). "
        "Their answers did not stand out before fine-tuning."
    )


def _most_frequent(table: ScanTable, flagged: np.ndarray) -> str:
    counts = Counter(table.answers[row] for row in np.flatnonzero(flagged))
    names = "; ".join(f'"{short(answer)}" ({number:,})' for answer, number in counts.most_common(LISTED))
    return f"The most frequent of {len(counts):,} such answers: {names}."
