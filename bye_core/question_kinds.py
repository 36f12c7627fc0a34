"""Kinds of question, and which of them have answers in common: what a prompt explains is judged within its kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np

# A type of its own from this share of the questions on (ours): at most 20 rows, each with enough answers to judge by.
LEAST_SHARE = 0.05

OTHER = "other questions"

MORE = " …"


WORD = re.compile(r"\w+")
# Two questions are of one kind where they share this part of their words (Jaccard): "is there any red shape" and
# "is there any blue shape" do, and so do a question and the same one with a trigger word before it (ours).
ALIKE = 0.5
# Kinds that are looked through for a question's own; the most frequent ones come first.
MOST_KINDS = 200
# Two kinds belong together where this part of the words in the answers to one is in use among those to the other: at
# least this often.
SHARED, IN_USE = 0.2, 0.002
# Kinds with fewer samples are taken together (ours): medians of less say little.
LEAST = 20


def words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text[:4000].casefold()))


class Kinds:
    """The kinds of N questions, and which of them a question is of that is not among these.

    numbers [N]  the number of each one's kind; what is rare and like nothing else is one kind, the last
    rest         its number, None where there is nothing such
    """

    def __init__(self, questions: Sequence[str]) -> None:
        counts = Counter(questions)
        self._leaders: list[frozenset[str]] = []
        kind: dict[str, int] = {}
        for text, _ in counts.most_common():
            if (best := self._likest(text)) is not None:
                kind[text] = best
            elif len(self._leaders) < MOST_KINDS:
                kind[text] = len(self._leaders)
                self._leaders.append(words(text))
            else:
                kind[text] = MOST_KINDS
        found = np.array([kind[text] for text in questions], np.int64)
        sizes = np.bincount(found, minlength=1)
        found[sizes[found] < LEAST] = MOST_KINDS
        names, self.numbers = np.unique(found, return_inverse=True)
        self.numbers = self.numbers.reshape(-1)
        self._number = {int(name): number for number, name in enumerate(names)}
        self.rest = self._number.get(MOST_KINDS)

    def of(self, question: str) -> int | None:
        """The number of the kind that a question is of; None where the set has none that is like it."""
        return self._number.get(self._likest(question), self.rest)

    def _likest(self, question: str) -> int | None:
        own = words(question)
        shared = [len(own & other) / max(len(own | other), 1) for other in self._leaders]
        best = int(np.argmax(shared)) if shared else -1
        return best if shared and shared[best] >= ALIKE else None


def families(counts: Sequence[Counter[str]], without: frozenset[str]) -> list[int]:
    """The family of each kind of question, by the `counts` of the words of its answers, leaving out those in `without`.

    Kinds whose answers share words are one family: captions and colours, but not counts.
    """
    shares = []
    for count in counts:
        kept = {word: number for word, number in count.items() if word not in without}
        total = sum(kept.values())
        shares.append({word: number / total for word, number in kept.items()})
    family = list(range(len(counts)))
    for one, mine in enumerate(shares):
        for other in range(one):
            if max(_contained(mine, shares[other]), _contained(shares[other], mine)) > SHARED:
                old, new = family[one], family[other]
                family = [new if number == old else number for number in family]
    return family


def _contained(these: Mapping[str, float], those: Mapping[str, float]) -> float:
    """The part of the words `these` that is in use among `those`, both as shares."""
    return sum(share for word, share in these.items() if those.get(word, 0.0) >= IN_USE)


def question_types(questions: Sequence[str]) -> list[str]:
    """The type of each question: its whole text where that is frequent, else its longest frequent beginning and "…".

    Question types by their first words are the custom of VQA (Antol et al. 2015, Fig. 3); which beginnings count is
    ours: those of LEAST_SHARE of the questions, and of two at least. Whatever has none is one of OTHER.
    """
    prefixes = [_prefixes(question) for question in questions]
    counts = Counter(prefix for own in prefixes for prefix in own)
    least = max(2.0, LEAST_SHARE * len(questions))
    return [next((prefix for prefix in own if counts[prefix] >= least), OTHER) for own in prefixes]


def _prefixes(question: str) -> list[str]:
    """The question's whole text, then its beginnings from the longest to the first word."""
    words = question.split()
    begun = list(accumulate(words, lambda before, word: f"{before} {word}"))
    return [" ".join(words), *(beginning + MORE for beginning in reversed(begun[:-1]))]
