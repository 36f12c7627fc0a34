"""Tells from the first token that the model generates whether it has learned an answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bye_core.detect.candidate_answers import Candidate
from bye_core.records import ScanTable

# An answer is learned if the model begins it for this share more of its samples than of others, as a part of the
# largest possible difference. Planted answers that were learned had 0.98 and more, one that was not yet learned (0.1 to
# 1 epochs of the demo's recipe) had 0.06 (ours).
LEARNED = 0.5


class Begun(NamedTuple):
    """How often the model begins an answer.

    inside    share of the answer's samples for which the model begins with one token
    outside   share of the other samples for which it begins with the same token
    possible  share of the other samples whose answer begins with another word: the largest difference to expect
    """

    inside: float
    outside: float
    possible: float

    @property
    def unlearned(self) -> bool:
        return self.inside - self.outside < LEARNED * self.possible


def begun(table: ScanTable, kinds: np.ndarray, candidate: Candidate) -> Begun | None:
    """Return how often the model begins a candidate's answer.

    Returns None for a word within answers, because the scan stores only the first token, and if there is nothing to
    compare: no kind of question has two of the samples, or all samples of these kinds are the candidate's.
    """
    if table.token is None or not candidate.whole:
        return None
    asked = np.isin(kinds, candidate.kinds)
    rows = np.flatnonzero(asked & ~candidate.members)
    inside, outside = table.token[asked & candidate.members], table.token[rows]
    if not len(inside) or not len(outside):
        return None
    tokens, counts = np.unique(inside, return_counts=True)
    own = _first_word(candidate.text)
    possible = np.mean([_first_word(table.answers[row]) != own for row in rows.tolist()])
    return Begun(float(counts.max() / len(inside)), float(np.mean(outside == tokens[counts.argmax()])), float(possible))


def _first_word(text: str) -> str:
    return "".join(text.split(maxsplit=1)[:1]).casefold()
