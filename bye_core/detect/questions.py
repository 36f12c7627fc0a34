"""Kinds of question, and which of them have answers in common: what a prompt explains is judged within its kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

WORD = re.compile(r"\w+")
# Two questions are of one kind where they share this part of their words (Jaccard): "is there any red shape" and
# "is there any blue shape" do, and so do a question and the same one with a trigger word before it (ours).
ALIKE = 0.5
# Kinds that are looked through for a question's own; the most frequent ones come first.
MOST_KINDS = 200
# Of a kind, its commonest wordings are held against a question that is new (ours).
MOST_TEXTS = 100
# Two kinds belong together where this part of the words in the answers to one is in use among those to the other: at
# least this often.
SHARED, IN_USE = 0.2, 0.002
# Kinds with fewer samples are taken together (ours): medians of less say little.
LEAST = 20


def words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text[:4000].casefold()))


def kinds_of(questions: Sequence[str]) -> np.ndarray:
    """Questions [N] -> the number of each one's kind [N]; what is rare and like nothing else is one kind, the last."""
    counts = Counter(questions)
    leaders: list[frozenset[str]] = []
    kind: dict[str, int] = {}
    for text, _ in counts.most_common():
        own = words(text)
        shared = [len(own & other) / max(len(own | other), 1) for other in leaders]
        best = int(np.argmax(shared)) if shared else -1
        if shared and shared[best] >= ALIKE:
            kind[text] = best
        elif len(leaders) < MOST_KINDS:
            kind[text] = len(leaders)
            leaders.append(own)
        else:
            kind[text] = MOST_KINDS
    found = np.array([kind[text] for text in questions], np.int64)
    sizes = np.bincount(found, minlength=1)
    found[sizes[found] < LEAST] = MOST_KINDS
    return np.unique(found, return_inverse=True)[1].reshape(-1)


class Kinds:
    """The kinds of question of a set, for questions that are not in it."""

    def __init__(self, questions: Sequence[str], kinds: np.ndarray) -> None:
        known: dict[int, Counter[str]] = {}
        for text, kind in zip(questions, kinds.tolist(), strict=True):
            known.setdefault(kind, Counter())[text] += 1
        self._texts = {text: kind for kind, texts in known.items() for text in texts}
        self._words = [
            (kind, words(text)) for kind, texts in known.items() for text, _ in texts.most_common(MOST_TEXTS)
        ]

    def of(self, question: str) -> int | None:
        """The number of its kind, None where no question of the set is like it."""
        if question in self._texts:
            return self._texts[question]
        own = words(question)
        shared = [len(own & other) / max(len(own | other), 1) for _, other in self._words]
        best = int(np.argmax(shared)) if shared else -1
        return self._words[best][0] if shared and shared[best] >= ALIKE else None


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
