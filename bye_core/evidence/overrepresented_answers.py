"""Finds answers and endings of answers that flagged samples share more often than their questions explain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bye_core.evidence.exact_test import Excess, Strata, most_in_excess
from bye_core.text import normalised

TESTED = 100  # number of tested answers and endings, the most over-represented; the correction counts all (ours)
LEAST_SHARED = 2  # smallest number of flagged samples with the answer: a single sample is no pattern
ENDING_WORDS = (2, 40)  # smallest and largest number of words of an ending (ours)

ANSWER, ENDING = "answer", "ending"


@dataclass(frozen=True)
class SharedAnswer:
    """A whole answer, or an ending that different answers share (`kind` says which).

    The other fields say how often flagged samples have it, and how many kinds of question it answers.
    """

    text: str
    kind: str
    excess: Excess
    questions: int


def shared_answers(answers: Sequence[str], strata: Strata) -> list[SharedAnswer]:
    """Return the whole answers and the endings among answers [N], the most over-represented among the flagged first.

    Among equal p-values, an answer to more kinds of question comes first.

    `p` is corrected for the number of all answers and endings that at least two flagged samples have.
    """
    having = {(ANSWER, key): rows for key, rows in _whole(answers).items()}
    having |= {(ENDING, key): rows for key, rows in _endings(answers, strata.flagged).items()}
    having = {key: rows for key, rows in having.items() if strata.flagged[rows].sum() >= LEAST_SHARED}
    keys, tests = list(having), len(having)
    found = []
    for place in most_in_excess(strata, list(having.values()), TESTED):
        kind, key = keys[place]
        rows = having[kind, key]
        found.append(
            SharedAnswer(_as_written(answers, rows, kind, key), kind, strata.test(rows, tests), strata.kinds(rows))
        )
    return sorted(found, key=_sort_key)


def _sort_key(one: SharedAnswer) -> tuple[float, int, float]:
    """Return the sort key of an answer. Among equal p-values, more kinds of question come first.

    An attacker's answer is given to any question.
    """
    return one.excess.p, -one.questions, one.excess.expected - one.excess.flagged


def rows_with_answer(answers: Sequence[str], row: int) -> np.ndarray:
    """Return the row numbers of all samples whose answer equals that of row `row`."""
    own = normalised(answers[row])
    return np.array([place for place, answer in enumerate(answers) if normalised(answer) == own])


def has_answer(shared: SharedAnswer, answer: str) -> bool:
    """Return whether `answer` equals the shared answer, or ends with the shared ending."""
    own, wanted = normalised(answer), normalised(shared.text)
    return own == wanted or (shared.kind == ENDING and own.endswith(f" {wanted}"))


def _whole(answers: Sequence[str]) -> Mapping[str, np.ndarray]:
    rows: dict[str, list[int]] = defaultdict(list)
    for row, answer in enumerate(answers):
        rows[normalised(answer)].append(row)
    return {key: np.array(own) for key, own in rows.items() if key}


def _endings(answers: Sequence[str], flagged: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return a dict from each ending that flagged answers share to the rows that have it.

    Drops an ending if a longer ending has as many flagged samples, or if it is always the whole answer.
    """
    counts = Counter(
        ending for row in np.flatnonzero(flagged).tolist() for ending in _endings_of(normalised(answers[row]))
    )
    counts = Counter({ending: count for ending, count in counts.items() if count >= LEAST_SHARED})
    longer = {(ending.partition(" ")[2], count) for ending, count in counts.items()}
    kept = {ending for ending, count in counts.items() if (ending, count) not in longer}
    rows: dict[str, list[int]] = defaultdict(list)
    for row, answer in enumerate(map(normalised, answers)):
        for ending in _endings_of(answer):
            if ending in kept:
                rows[ending].append(row)
    return {key: np.array(own) for key, own in rows.items() if any(normalised(answers[row]) != key for row in own)}


def _endings_of(answer: str) -> Iterator[str]:
    """Yield the endings of an answer. The whole answer is included, because it then replaces its own endings."""
    words = answer.split(" ")
    low, high = ENDING_WORDS
    return (" ".join(words[-length:]) for length in range(low, min(high, len(words)) + 1))


def _as_written(answers: Sequence[str], rows: np.ndarray, kind: str, key: str) -> str:
    """Return the most common spelling of the answer or ending `key` among the samples `rows`."""
    words = len(key.split(" "))
    texts = (" ".join(answers[row].split()) for row in rows)
    written = Counter(text if kind == ANSWER else " ".join(text.split(" ")[-words:]) for text in texts)
    return written.most_common(1)[0][0]
