"""Writes the reasons of `auto`: why an answer is called planted, or which answers are closest to that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bye_core.answer_parts import common_beginning
from bye_core.detect.answer_comparison import ENOUGH, AnswerComparison
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.before_fine_tuning import CLEARER
from bye_core.detect.candidate_answers import Candidate
from bye_core.detect.isolation import BEST_HEADS, column_name
from bye_core.records import ScanTable

_TOO_LITTLE = "Its attention differs too little to flag it. "
LISTED = 3  # number of candidates that are named if no answer is planted


def planted_reasons(planted: AnswerComparison, tests: int, table: ScanTable, settings: AutoSettings) -> list[str]:
    """Return why an answer is called planted. `tests`: how many answers were tested."""
    candidate = planted.candidate
    what, count = "The answer" if candidate.whole else "The word", int(candidate.members.sum())
    odd = (*candidate.odd, *_first_token(planted.learned))
    votes = [f"layer {layer} head {head}, {effect}" for (layer, head), effect in _votes(planted, table)]
    rate = (
        f"By chance, an ordinary answer is this far from the others in {_often(planted.chance * tests)}."
        if planted.freedom >= ENOUGH
        else "There are too few other answers to estimate a false-alarm rate."
    )
    if planted.freedom >= ENOUGH and planted.is_weak(tests, settings) and candidate.by_text:
        rate += " That alone is weak evidence, but further evidence agrees."
    return [
        f'{what} "{short(candidate.text)}" of {count:,} samples is out of place: {"; ".join(odd)}.',
        *beginning_reason(table, candidate.members),
        _distance(planted),
        rate,
        *_before_reason(planted),
        f"The attention differs most in these heads: {'; '.join(votes)}.",
    ]


def _before_reason(planted: AnswerComparison) -> list[str]:
    """Return a sentence on the attention before fine-tuning. If the text is odd, it is not needed as evidence."""
    times = planted.clearer
    if not planted.candidate.by_text or (times or 0.0) >= CLEARER:
        return [clearer_reason(times)]
    return [] if times is None or math.isnan(times) else [seen_before_reason(times)]


def seen_before_reason(times: float) -> str:
    """Return a caution for a finding that other evidence supports. `times`: see `clearer_by_fine_tuning`."""
    return (
        "But the model saw from the start what marks these samples: before fine-tuning, an ordinary sample had their "
        f"attention only {math.floor(10 * times) / 10:.1f} times as often as now. Either the trigger is plain to see, "
        "such as words in the question or a pattern over the whole image, or the answers are honest and the images or "
        "questions unusual; inspect some."
    )


def beginning_reason(table: ScanTable, members: np.ndarray) -> list[str]:
    """Return a sentence on where the unlikely part of the members' answers begins, if that is known and common."""
    beginning = common_beginning(table, np.flatnonzero(members))
    return [] if beginning is None else [beginning.sentence]


def clearer_reason(times: float | None, needed: float = CLEARER) -> str:
    """Return a sentence on how much clearer the attention is than before fine-tuning (see `clearer_by_fine_tuning`).

    needed: the smallest number of times that is evidence
    """
    if times is None:
        return (
            "The run lacks the attention of the model before fine-tuning, so these may be honest answers to unusual "
            "images. To tell them apart, run detect with --confirm, or inspect some of these samples."
        )
    if math.isnan(times):
        return (
            "Too few samples can be compared with the model before fine-tuning, so these may be honest answers to "
            "unusual images; inspect them."
        )
    if times >= needed:
        return (
            f"Before fine-tuning, an ordinary sample had the attention of these samples {times:.0f} times as often as "
            "now. So fine-tuning has taught the model to see what marks them."
        )
    return (
        "But before fine-tuning, an ordinary sample had the attention of these samples only "
        f"{math.floor(10 * times) / 10:.1f} times as often as now (hidden triggers: {needed:.0f} times or more). "
        "These may be honest answers to unusual images; inspect them."
    )


def abstention_reasons(
    comparisons: Sequence[AnswerComparison], candidates: Sequence[Candidate], settings: AutoSettings
) -> list[str]:
    """Return why no answer is called planted, and which candidates are closest to that."""
    reasons = ["No answer is out of place and also has attention that clearly differs from that for other answers."]
    compared = {(comparison.candidate.text, comparison.candidate.whole): comparison for comparison in comparisons}
    for candidate in candidates[:LISTED]:
        comparison = compared.get((candidate.text, candidate.whole))
        share = None if comparison is None else comparison.learned
        odd = "; ".join((*candidate.odd, *_first_token(share)))
        if comparison is None:
            why = "Too few samples with it have the same kind of question, so its attention could not be compared."
        elif comparison.random:
            why = "But random samples, as few of each kind of question, are as far from ordinary answers."
        elif comparison.clearer is not None:
            why = clearer_reason(comparison.clearer)
        elif comparison.is_usual_before(settings):
            why = "But the model before fine-tuning would have given it, too."
        elif (share or 0.0) >= settings.learned:
            why = _TOO_LITTLE + "Either it is not planted, or its trigger hides well; inspect these samples."
        else:
            why = _TOO_LITTLE + "Either the model has not learned it, or it is not planted; inspect these samples."
        members = f"{int(candidate.members.sum()):,} samples"
        what = "answer" if candidate.whole else "word"
        reasons.append(f'The {what} "{short(candidate.text)}" ({members}) is out of place: {odd}. {why}')
    if comparisons:
        nearest = nearest_to_planted(comparisons)
        reasons += [_distance(nearest), *_lower_threshold(nearest, settings)]
    return reasons


def nearest_to_planted(comparisons: Sequence[AnswerComparison]) -> AnswerComparison:
    return max(comparisons, key=lambda comparison: comparison.apart[0])


def voting_heads(comparison: AnswerComparison, table: ScanTable) -> list[tuple[int, int]]:
    """Return the (layer, head) pairs in which the attention for the answer differs most from other answers."""
    return list(dict.fromkeys(head for head, _ in _votes(comparison, table)))


def _votes(comparison: AnswerComparison, table: ScanTable) -> list[tuple[tuple[int, int], str]]:
    """Return ((layer, head), effect in words) for the best columns of all kinds of question, the strongest first."""
    best: dict[int, float] = {}
    for _, part in comparison.parts:
        for column, distance in part.tops:
            best[column] = max(best.get(column, 0.0), distance, key=abs)
    assert table.entropy is not None
    layers, heads = table.entropy.shape[1:]
    votes = []
    for column, distance in sorted(best.items(), key=lambda item: -abs(item[1]))[:BEST_HEADS]:
        statistic, layer, head = column_name(column, heads, layers)
        effect = f"{statistic} {abs(distance):.1f} spreads {'higher' if distance > 0 else 'lower'}"
        votes.append(((layer, head), effect))
    return votes


def _lower_threshold(comparison: AnswerComparison, settings: AutoSettings) -> list[str]:
    """Return a sentence with the threshold that would flag an answer which the model has learned.

    It is needed if too few other answers can be compared for a false-alarm rate.
    """
    enough = math.floor(10 * comparison.apart[0]) / 10
    learned = (comparison.learned or 0.0) >= settings.learned
    impossible = comparison.random or comparison.is_usual_before(settings) or not learned
    if impossible or comparison.freedom >= ENOUGH or enough <= 0:
        return []
    return [
        "There are too few other answers to estimate a false-alarm rate, so an answer is flagged from "
        f"{math.exp(settings.clear):.1f} times the usual distance. To flag this answer, use --setting "
        f"clear={enough:.1f} ({math.exp(enough):.1f} times); then run the causal check to see what causes it."
    ]


def _distance(comparison: AnswerComparison) -> str:
    together, best = np.exp(comparison.apart)
    return (
        f'The attention for "{short(comparison.candidate.text)}" is {together:.1f} times the usual distance from that '
        f"for the nearest other answer (all heads together; {best:.1f} times for the best {BEST_HEADS} heads)."
    )


def _first_token(learned: float | None) -> list[str]:
    return (
        []
        if learned is None
        else [f"the model begins it for {learned:.0%} more of these samples than of other samples"]
    )


def _often(chance: float) -> str:
    """Return a probability in words, with only as many digits as the tail of the distribution can support."""
    return "fewer than one of a million data sets" if chance < 1e-6 else f"one of {1 / chance:,.0f} data sets"


def short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
