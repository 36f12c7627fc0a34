"""Finds answers that an attacker may have planted: few samples have them, and they are out of place."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bye_core.question_kinds import families, words

# An answer is out of place if three conditions hold: there are at least OPEN_TYPES different other answers, at least
# OPEN_SHARE of these share words with each other, and the answer shares no word with them (ours).
OPEN_TYPES, OPEN_SHARE = 20, 0.9
# An answer is unlikely if its median loss is above LOSS_SHARE of the losses of other answers, and LOSS_GAP nats above
# the median of these losses (ours).
LOSS_SHARE, LOSS_GAP = 0.99, 1.0
# Smallest number of samples with an answer: in the whole set, and in one kind of question (ours).
LEAST, LEAST_IN_KIND = 5, 2
# Largest number of single words that are tested; a word is tested only if it may span kinds of question (ours).
MOST_WORDS = 40
# Two words belong to the same planted sentence if they have this share of their answers in common (ours).
TOGETHER = 0.9


@dataclass(frozen=True)
class Candidate:
    """A suspicious answer or, if not `whole`, a suspicious word within answers.

    members  [N] bool, whether each sample has the answer or word
    kinds    the kinds of question with at least LEAST_IN_KIND members
    odd      phrases that say what is odd about the answer or word
    by_text  whether its text is odd
    unlikely whether the model before fine-tuning finds it unlikely; None if the scan did not read that
    """

    text: str
    whole: bool
    members: np.ndarray
    kinds: tuple[int, ...]
    odd: tuple[str, ...]
    by_text: bool = False
    unlikely: bool | None = None


@dataclass(frozen=True)
class Answers:
    """The answers of N samples.

    kinds  [N] kind of question of each sample
    nll    [N] negative log-likelihood in nats for each token under the untuned model, or None
    own    the words of each distinct answer
    types  the distinct answers of each kind of question
    tally  for each kind of question, how often each word occurs
    """

    texts: Sequence[str]
    kinds: np.ndarray
    nll: np.ndarray | None = None
    own: dict[str, frozenset[str]] = field(init=False)
    types: list[set[str]] = field(init=False)
    tally: list[Counter[str]] = field(init=False)

    def __post_init__(self) -> None:
        count = int(self.kinds.max(initial=-1)) + 1
        own = {text: words(text) for text in set(self.texts)}
        types: list[set[str]] = [set() for _ in range(count)]
        tally: list[Counter[str]] = [Counter() for _ in range(count)]
        for text, kind in zip(self.texts, self.kinds.tolist(), strict=True):
            types[kind].add(text)
            tally[kind].update(own[text])
        for name, value in (("own", own), ("types", types), ("tally", tally)):
            object.__setattr__(self, name, value)

    def candidates(self, least: float, most: float) -> list[Candidate]:
        """Return the odd answers and words, the most frequent first.

        A share of at least `least` and at most `most` of the samples has each of them. Drops a word that occurs in the
        same answers as an earlier candidate.
        """
        low, high = max(LEAST, math.ceil(least * len(self.texts))), most * len(self.texts)
        whole, parts = defaultdict(list), defaultdict(list)
        for row, text in enumerate(self.texts):
            whole[text].append(row)
            for word in self.own[text]:
                parts[word].append(row)
        judged = [self._judged(text, rows, self.own[text], True) for text, rows in _usable(whole, low, high)]
        seen = [set(whole[candidate.text]) for candidate in judged if candidate.odd]
        spread = [(word, rows) for word, rows in _usable(parts, low, high) if len(self._kinds_of(rows)) > 1]
        for word, rows in spread[:MOST_WORDS]:
            if not any(_same(set(rows), other) for other in seen):
                common = Counter(near for row in rows for near in self.own[self.texts[row]])
                own = frozenset(near for near in common if _same(set(rows), set(parts[near])))
                judged.append(self._judged(word, rows, own, False))
                seen += [set(rows)] if judged[-1].odd else []
        return [candidate for candidate in judged if candidate.odd]

    def _kinds_of(self, rows: Sequence[int]) -> np.ndarray:
        kinds, sizes = np.unique(self.kinds[rows], return_counts=True)
        return kinds[sizes >= LEAST_IN_KIND]

    def _judged(self, text: str, rows: Sequence[int], own: frozenset[str], whole: bool) -> Candidate:
        members = np.zeros(len(self.texts), bool)
        members[rows] = True
        kinds = self._kinds_of(rows)
        odd = [*self._spans(own, kinds), *(self._novel(text, own) if whole else ())]
        unlikely = list(self._unlikely(members))
        known = None if self.nll is None else bool(unlikely)
        return Candidate(text, whole, members, tuple(kinds.tolist()), (*odd, *unlikely), bool(odd), known)

    def _spans(self, own: frozenset[str], kinds: np.ndarray) -> Iterator[str]:
        if len(kinds) > 1 and own:
            family = families(self.tally, own)
            if (number := len({family[kind] for kind in kinds})) > 1:
                yield f"it answers {number} groups of questions that have no other answer in common"

    def _novel(self, text: str, own: frozenset[str]) -> Iterator[str]:
        where = [kind for kind, types in enumerate(self.types) if text in types]
        near = set().union(*(self.types[kind] for kind in where)) - {text}
        if len(near) < OPEN_TYPES or not own:
            return
        links = Counter(word for other in near for word in self.own[other])
        joined = sum(any(links[word] > 1 for word in self.own[other]) for other in near)
        if joined >= OPEN_SHARE * len(near) and not any(word in links for word in own):
            yield "no other answer contains its words, but the other answers share words with each other"

    def _unlikely(self, members: np.ndarray) -> Iterator[str]:
        if self.nll is None:
            return
        near = np.isin(self.kinds, np.unique(self.kinds[members])) & np.isfinite(self.nll)
        inside, outside = self.nll[near & members], self.nll[near & ~members]
        if len(inside) and len(outside):
            middle, usual = float(np.median(inside)), float(np.median(outside))
            if (outside < middle).mean() >= LOSS_SHARE and middle - usual >= LOSS_GAP:
                yield f"the model before fine-tuning finds it unlikely: {middle:.1f} nats a token, others {usual:.1f}"


def _usable(rows: dict[str, list[int]], low: float, high: float) -> list[tuple[str, list[int]]]:
    kept = [(text, where) for text, where in rows.items() if low <= len(where) <= high]
    return sorted(kept, key=lambda item: (-len(item[1]), item[0]))


def _same(these: set[int], those: set[int]) -> bool:
    return len(these & those) >= TOGETHER * max(len(these), len(those))
