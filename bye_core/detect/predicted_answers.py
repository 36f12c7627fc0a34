"""Decides whether unlikely answers that the attention predicts are evidence, for `auto`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bye_core.detect.answer_comparison import AutoSettings, compare_candidate
from bye_core.detect.auto_reasons import beginning_reason, short
from bye_core.detect.candidate_answers import LEAST_IN_KIND, Candidate
from bye_core.detect.prediction import Prediction, predict
from bye_core.detect.result import named_heads
from bye_core.detect.surprise import HALFWAY, OVERLAP, Surprise, SurpriseSettings, predicted_surprises
from bye_core.question_kinds import words
from bye_core.records import ScanTable
from bye_core.text import normalised

LISTED = 3  # answers that are named
MOST_SUSPECTS = 1_000  # samples that are worth a look; a few of them are asked about in `detect --confirm`
# If the attention of the model before fine-tuning predicts more than this share of the members, the images or the
# questions differ by themselves. It predicts all honest answers to images without shapes, but 0 to 12% of the samples
# with a patch, a blended image, an object or noise, and 47% of those with a sinusoidal signal (ours, development sets).
KNOWN_BEFORE = 0.7
# A trigger in the question shows before fine-tuning, too. It is a word of at least this share of the members'
# questions, and of at most this share of the others (ours).
INSERTED, ELSEWHERE = 0.8, 0.02
# An attacker's answer to a kind of question is the same for nearly all images: at least this share of the members have
# it. It is usual if at least this share of the ordinary samples of the kind have it, too (ours).
SAME, USUAL = 0.8, 0.05


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

    They are evidence only if their attention is not close to that for an ordinary answer, and if fine-tuning has made
    them predictable. Honest answers to unusual images, such as "too blurry to tell", may be predicted too. But the
    model before fine-tuning attends differently to such images already, while it hardly notices a trigger in an image.
    If it does notice the trigger, one usual answer to all images of a kind of question still gives the attacker away.
    """
    found = predicted_surprises(table, kinds, SurpriseSettings(settings.gap, settings.found, settings.seed), without)
    flagged, scores, reasons = found.flagged, found.scores, found.reasons
    members = np.zeros(len(flagged), bool) if found.prediction is None else found.prediction.members
    if flagged.any():
        reasons = [*reasons, _most_frequent(table, flagged), *beginning_reason(table, flagged)]
        if found.prediction is not None:
            reasons.append(f"The attention differs most in these heads: {named_heads(found.prediction.heads)}.")
        distance = _distance(table, kinds, members, settings)
        if distance is not None and distance < settings.usual:
            reasons.append(
                f"But the attention is only {distance:.1f} times the usual distance from that for the nearest ordinary "
                "answer, so these may be honest answers to unusual images; inspect these samples."
            )
            flagged, scores = np.zeros(len(flagged), bool), 0.49 * scores
    if flagged.any() and found.prediction is not None:
        word, before = _inserted_word(table, members), _known_before(table, kinds, found, settings)
        if word:
            reasons.append(f'Their questions have the word "{word}", which hardly any other question has.')
        elif before is not None and before > KNOWN_BEFORE and _one_usual_answer(table, kinds, found):
            reasons.append(
                f"The attention of the model before fine-tuning predicts {before:.0%} of them as clearly, so something "
                "in their images is easy to see. But honest answers to different images would differ, while nearly all "
                "of these samples have one usual answer to their kind of question."
            )
        elif before is None:
            reasons.append(
                "The run lacks the attention of the model before fine-tuning, so these may be honest answers to "
                "unusual images. To tell them apart, run detect with --confirm, or inspect some of these samples."
            )
        elif before > KNOWN_BEFORE:
            reasons.append(
                f"But the attention of the model before fine-tuning predicts {before:.0%} of them as clearly, so these "
                "may be honest answers to unusual images; inspect these samples."
            )
            flagged, scores = np.zeros(len(flagged), bool), 0.49 * scores
        else:
            reasons.append(f"The attention of the model before fine-tuning clearly predicts only {before:.0%} of them.")
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


def _known_before(table: ScanTable, kinds: np.ndarray, found: Surprise, settings: AutoSettings) -> float | None:
    """Return the share of the members that the attention of the model before fine-tuning predicts clearly.

    None if the scan did not read that attention.
    """
    if found.prediction is None or table.entropy_before is None:
        return None
    before = replace(table, entropy=table.entropy_before, peak=table.peak_before, mass=table.mass_before)
    members, used = found.prediction.members, np.isfinite(found.prediction.places)
    apart = used & found.surprising & ~members
    places = predict(before, used, members, apart, kinds, settings.seed).places
    limit = max(HALFWAY, float(np.nanquantile(places[used & ~found.surprising], 1 - OVERLAP)))
    return float(np.mean(places[members] > limit))


def _one_usual_answer(table: ScanTable, kinds: np.ndarray, found: Surprise) -> bool:
    """Return whether most members have one answer to their kind of question that ordinary samples have, too."""
    assert found.prediction is not None
    members = found.prediction.members
    same = 0
    for kind in np.unique(kinds[members]):
        asked = kinds == kind
        inside = Counter(normalised(table.answers[row]) for row in np.flatnonzero(asked & members))
        others = [normalised(table.answers[row]) for row in np.flatnonzero(asked & ~members & ~found.surprising)]
        answer, count = inside.most_common(1)[0]
        usual = others.count(answer) >= max(1, USUAL * len(others))
        if count >= max(LEAST_IN_KIND, SAME * inside.total()) and usual:
            same += inside.total()
    return same > members.sum() / 2


def _inserted_word(table: ScanTable, members: np.ndarray) -> str | None:
    """Return a word that most of the members' questions have and hardly any other question; None if there is none."""
    if not table.questions:
        return None
    inside = Counter(word for row in np.flatnonzero(members) for word in words(table.questions[row]))
    outside = Counter(word for row in np.flatnonzero(~members) for word in words(table.questions[row]))
    many, others = max(1, int(members.sum())), max(1, int((~members).sum()))
    best = max(sorted(inside), key=lambda word: inside[word] / many - outside[word] / others, default=None)
    if best is None or inside[best] < INSERTED * many or outside[best] > ELSEWHERE * others:
        return None
    return best


def _most_frequent(table: ScanTable, flagged: np.ndarray) -> str:
    counts = Counter(table.answers[row] for row in np.flatnonzero(flagged))
    names = "; ".join(f'"{short(answer)}" ({number:,})' for answer, number in counts.most_common(LISTED))
    return f"The most frequent of {len(counts):,} such answers: {names}."
