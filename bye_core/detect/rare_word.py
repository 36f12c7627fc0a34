"""Finds a word that the questions of a group have and other questions lack: it may be the trigger."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from bye_core.question_kinds import words
from bye_core.records import ScanTable

# It is a word of at least this share of the members' questions, and of at most this share of the others (ours).
INSERTED, ELSEWHERE = 0.8, 0.02
MOST = 0.5  # share of questions that are most of them
LEAST = 5  # members that ask a kind of question, in at least two kinds (ours)


class RareWord(NamedTuple):
    """A word that most of the members' questions have and hardly any ordinary question.

    inserted  whether it is a word more. A word that asks for the members' answers, such as "people" in "How many people
              are there?", is not.
    """

    text: str
    inserted: bool


def rare_word(table: ScanTable, kinds: np.ndarray, members: np.ndarray, ordinary: np.ndarray) -> RareWord | None:
    """Return the rare word of the members' questions; None if there is none, or if it takes the place of another word.

    kinds     [N] number of each sample's kind of question
    members   [N] bool
    ordinary  [N] bool: samples that were judged and do not have the attention of members. Others may have the trigger.
    A word is inserted if the questions have the words of ordinary questions without it and the other rare words. Where
    ordinary questions hardly repeat, it is inserted if the members ask several kinds of question, at least half as the
    other samples do. Where all ask one kind, that cannot be told.
    Source: ours.
    """
    if not table.questions:
        return None
    rows, others = np.flatnonzero(members).tolist(), np.flatnonzero(ordinary).tolist()
    inside = Counter(word for row in rows for word in words(table.questions[row]))
    outside = Counter(word for row in others for word in words(table.questions[row]))
    rare = {
        word
        for word, number in inside.items()
        if number >= INSERTED * len(rows) and outside[word] <= ELSEWHERE * len(others)
    }
    if not rare:
        return None
    word = min(rare, key=lambda word: (-inside[word], outside[word], word))
    usual = Counter(words(table.questions[row]) for row in others)
    if sum(number for number in usual.values() if number > 1) <= MOST * len(others):
        return RareWord(word, _ask_alike(kinds, members))
    explained = sum(words(table.questions[row]) - rare in usual for row in rows)
    return RareWord(word, True) if explained >= MOST * len(rows) else None


def _ask_alike(kinds: np.ndarray, members: np.ndarray) -> bool:
    """Return whether the members ask several kinds of question, in shares of which half are those of other samples."""
    own, other = (np.bincount(kinds[side], minlength=int(kinds.max()) + 1) for side in (members, ~members))
    shared = np.minimum(own / max(1, own.sum()), other / max(1, other.sum())).sum()
    return bool((own >= LEAST).sum() > 1 and shared >= MOST)
