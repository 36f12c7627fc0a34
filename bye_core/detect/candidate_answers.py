"""Finds answers that an attacker may have planted: few samples have them, and they are out of place."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bye_core.question_kinds import families, words
from bye_core.sample_texts import numbered

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

    members  [N] bool, whether each sample has the answer or word and, if its text is not odd, whether it was unlikely
             for this sample: others with it are honest
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
    different  the distinct answers, in the order of their first samples
    codes  [N] number of each sample's answer in `different`
    own    the words of each distinct answer
    types  the distinct answers of each kind of question
    tally  for each kind of question, how often each word occurs
    """

    texts: Sequence[str]
    kinds: np.ndarray
    nll: np.ndarray | None = None
    different: tuple[str, ...] = field(init=False)
    codes: np.ndarray = field(init=False)
    own: dict[str, frozenset[str]] = field(init=False)
    types: list[set[str]] = field(init=False)
    tally: list[Counter[str]] = field(init=False)
    _pairs: tuple[np.ndarray, np.ndarray, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        count = int(self.kinds.max(initial=-1)) + 1
        different, codes = numbered(self.texts)
        own = {text: words(text) for text in different}
        types: list[set[str]] = [set() for _ in range(count)]
        tally: list[Counter[str]] = [Counter() for _ in range(count)]
        pairs = _pairs_of(self.kinds, codes, len(different))
        for kind, code, size in zip(*(part.tolist() for part in pairs), strict=True):
            types[kind].add(different[code])
            tally[kind].update(dict.fromkeys(own[different[code]], size))
        values = {"different": different, "codes": codes, "own": own, "types": types, "tally": tally, "_pairs": pairs}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def candidates(self, least: float, most: float) -> list[Candidate]:
        """Return the odd answers and words, the most frequent first.

        A share of at least `least` and at most `most` of the samples has each of them. Drops a word that occurs in the
        same answers as an earlier candidate.
        """
        low, high = max(LEAST, math.ceil(least * len(self.texts))), most * len(self.texts)
        sizes = np.bincount(self.codes, minlength=len(self.different))
        parts = defaultdict(list)  # numbers of the answers with each word
        for code, text in enumerate(self.different):
            for word in self.own[text]:
                parts[word].append(code)

        def usable(found: Mapping[str, list[int]], many: Mapping[str, int]) -> list[tuple[str, set[int]]]:
            kept = sorted((text for text in found if low <= many[text] <= high), key=lambda text: (-many[text], text))
            return [(text, set(found[text])) for text in kept]

        def same(these: set[int], those: set[int]) -> bool:
            common, *both = (int(sizes[list(numbers)].sum()) for numbers in (these & those, these, those))
            return common >= TOGETHER * max(both)

        whole = {text: [code] for code, text in enumerate(self.different)}
        answers = usable(whole, dict(zip(self.different, sizes.tolist(), strict=True)))
        judged = [self._judged(text, numbers, self.own[text], True) for text, numbers in answers]
        seen = [set(whole[candidate.text]) for candidate in judged if candidate.odd]
        single = usable(parts, {word: int(sizes[numbers].sum()) for word, numbers in parts.items()})
        spread = [(word, numbers) for word, numbers in single if len(self._kinds_of(numbers)) > 1]
        for word, numbers in spread[:MOST_WORDS]:
            if not any(same(numbers, other) for other in seen):
                near = set().union(*(self.own[self.different[code]] for code in numbers))
                own = frozenset(other for other in near if same(numbers, set(parts[other])))
                judged.append(self._judged(word, numbers, own, False))
                seen += [numbers] if judged[-1].odd else []
        return [candidate for candidate in judged if candidate.odd]

    def _kinds_of(self, numbers: set[int]) -> np.ndarray:
        """Return the kinds of question with at least LEAST_IN_KIND of the answers with these `numbers`."""
        kinds, codes, counts = self._pairs
        inside = self._has(numbers)[codes]
        sizes = np.bincount(kinds[inside], weights=counts[inside])
        return np.flatnonzero(sizes >= LEAST_IN_KIND)

    def _has(self, numbers: set[int]) -> np.ndarray:
        """Return [len(different)] bool: whether an answer is one of `numbers`."""
        has = np.zeros(len(self.different), bool)
        has[list(numbers)] = True
        return has

    def _judged(self, text: str, numbers: set[int], own: frozenset[str], whole: bool) -> Candidate:
        members, kinds = self._has(numbers)[self.codes], self._kinds_of(numbers)
        odd = [*self._spans(own, kinds), *(self._novel(text, own) if whole else ())]
        unlikely, phrase = self._unlikely(members)
        if phrase and not odd:
            members = unlikely
            asked, sizes = np.unique(self.kinds[members], return_counts=True)
            kinds = asked[sizes >= LEAST_IN_KIND]
        known = None if self.nll is None else bool(phrase)
        return Candidate(text, whole, members, tuple(kinds.tolist()), (*odd, *phrase), bool(odd), known)

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

    def _unlikely(self, members: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return ([N] bool: members with a loss above LOSS_SHARE of those of other answers, a phrase if most are)."""
        if self.nll is None:
            return members, ()
        near = np.isin(self.kinds, np.unique(self.kinds[members])) & np.isfinite(self.nll)
        inside, outside = self.nll[near & members], self.nll[near & ~members]
        if not len(inside) or not len(outside):
            return members, ()
        middle, usual = float(np.median(inside)), float(np.median(outside))
        if (outside < middle).mean() < LOSS_SHARE or middle - usual < LOSS_GAP:
            return members, ()
        phrase = f"the model before fine-tuning finds it unlikely: {middle:.1f} nats a token, others {usual:.1f}"
        return members & near & (self.nll >= np.quantile(outside, LOSS_SHARE)), (phrase,)


def _pairs_of(kinds: np.ndarray, codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (kind, code, number of samples) of each pair that occurs, in the order of the first samples."""
    pairs, first, sizes = np.unique(kinds.astype(np.int64) * count + codes, return_index=True, return_counts=True)
    order = np.argsort(first)
    return pairs[order] // max(1, count), pairs[order] % max(1, count), sizes[order]
