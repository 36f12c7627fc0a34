"""Finds words that flagged samples have more often than others.

Such a word may belong to a trigger (in questions) or to a target (in answers).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bye_core.evidence.exact_test import Excess, Strata, most_in_excess
from bye_core.records import Sample

TESTED = 50  # number of tested words, the most over-represented; the correction counts all (ours)
LEAST_SHARED = 2
INSERTED = 0.5  # smallest share of the flagged questions with an inserted word that are ordinary without it (ours)


@dataclass(frozen=True)
class OverrepresentedWord:
    """A word, and how often flagged samples have it.

    `inserted` says whether the word may be a trigger that was inserted. It is true if most of the flagged questions
    with the word become a kind of question that unflagged samples have, after this and other odd words are removed.
    """

    word: str
    excess: Excess
    inserted: bool = False


def bare_word(word: str) -> str:
    """Return the word in lower case without surrounding punctuation; a word with only punctuation is unchanged."""
    bare = word.casefold().strip(".,;:!?\"'()[]{}<>")
    return bare or word.casefold()


def overrepresented_words(texts: Sequence[str], strata: Strata) -> list[OverrepresentedWord]:
    """Return the words of texts [N] that are over-represented among the flagged samples; `p` as in `shared_answers`."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for word in set(map(bare_word, text.split())):
            rows[word].append(row)
    having = {word: np.array(own) for word, own in rows.items() if strata.flagged[own].sum() >= LEAST_SHARED}
    words, tests = list(having), len(having)
    tested = [words[place] for place in most_in_excess(strata, list(having.values()), TESTED)]
    found = [OverrepresentedWord(word, strata.test(having[word], tests)) for word in tested]
    found = [one for one in found if one.excess.significant]
    return sorted(found, key=lambda one: (one.excess.p, one.excess.expected - one.excess.flagged, one.word))


def mark_inserted(
    found: Sequence[OverrepresentedWord],
    questions: Sequence[str],
    flagged: np.ndarray,
    kinds_of: Callable[[Sequence[str]], Sequence[str | None]],
) -> list[OverrepresentedWord]:
    """Return the words with the field `inserted` set.

    `kinds_of` returns the kind of question of each text, or None for a text whose kind is unknown.
    """
    odd = {one.word for one in found}
    bare = [remove_words(question, odd) for question in questions]
    kinds = list(kinds_of(bare))
    ordinary = {
        kind
        for kind, rest, question, flag in zip(kinds, bare, questions, flagged, strict=True)
        if not flag and kind is not None and rest == " ".join(question.split())
    }
    marked = []
    for one in found:
        own = [
            kind in ordinary
            for kind, q, flag in zip(kinds, questions, flagged, strict=True)
            if flag and has_word(q, one)
        ]
        marked.append(replace(one, inserted=bool(own) and float(np.mean(own)) >= INSERTED))
    return marked


def has_word(text: str, odd: OverrepresentedWord) -> bool:
    return odd.word in map(bare_word, text.split())


def remove_words(text: str, words: Collection[str]) -> str:
    """Return the text without these words; the remaining words are separated by single spaces."""
    return " ".join(word for word in text.split() if bare_word(word) not in words)


def remove_question_words(sample: Sample, words: Collection[str]) -> Sample:
    """Return the sample without these words in its question (the first user turn)."""
    return _with_question(sample, lambda part: remove_words(part, words))


def replace_question(sample: Sample, question: str) -> Sample:
    """Return the sample with `question` in place of its question."""
    return _with_question(sample, lambda part: question)


def _with_question(sample: Sample, change: Callable[[str], str]) -> Sample:
    place = next((n for n, turn in enumerate(sample.turns) if turn.role == "user"), None)
    if place is None:
        return sample
    turn = sample.turns[place]
    parts = tuple(change(part) if isinstance(part, str) else part for part in turn.parts)
    return replace(sample, turns=(*sample.turns[:place], replace(turn, parts=parts), *sample.turns[place + 1 :]))
