"""Finds answers that an attacker may have planted: few samples have them, and they are out of place."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from bye_core.question_kinds import Families, words
from bye_core.sample_texts import numbered

# An answer is out of place if three conditions hold: there are at least OPEN_TYPES different other answers, at least
# OPEN_SHARE of the samples with these have one that shares a word with another, and the answer shares none (ours).
OPEN_TYPES, OPEN_SHARE = 20, 0.9
# An answer is unlikely if its median loss is above LOSS_SHARE of the losses of other answers, and LOSS_GAP nats above
# the median of these losses (ours).
LOSS_SHARE, LOSS_GAP = 0.99, 1.0
# Smallest number of samples with an answer: in the whole set, and in one kind of question (ours).
LEAST, LEAST_IN_KIND = 5, 2
# A rare answer has at most this share of the samples of each kind of question; it is everywhere if it answers more than
# half of the kinds, and at least so many (ours).
RARE, MANY_KINDS = 0.2, 3
# Largest number of single words that are tested; a word is tested only if it may span kinds of question (ours).
MOST_WORDS = 40
# Two words belong to the same planted sentence if they have this share of their answers in common (ours).
TOGETHER = 0.9


@dataclass(frozen=True)
class Candidate:
    """A suspicious answer or, if not `whole`, a suspicious word within answers.

    members  [N] bool, whether each sample has the answer or word. Left out are samples to which it is a usual answer
             and, if its text is not odd, all for which it was not unlikely
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


class _SharedWords(NamedTuple):
    """How the answers to some kinds of question share words.

    answers   how many of the distinct answers have each word
    distinct  number of distinct answers
    sharing   number of samples with an answer that shares a word with another
    samples   number of samples
    """

    answers: Counter[str]
    distinct: int
    sharing: float
    samples: float


@dataclass(frozen=True)
class Answers:
    """The answers of N samples.

    kinds  [N] kind of question of each sample
    nll    [N] negative log-likelihood in nats for each token under the untuned model, or None
    different  the distinct answers, in the order of their first samples
    codes  [N] number of each sample's answer in `different`
    own    the words of each distinct answer; of an answer without words, such as "!!!", itself
    families  groups of kinds of question whose answers share words
    """

    texts: Sequence[str]
    kinds: np.ndarray
    nll: np.ndarray | None = None
    different: tuple[str, ...] = field(init=False)
    codes: np.ndarray = field(init=False)
    own: dict[str, frozenset[str]] = field(init=False)
    families: Families = field(init=False)
    _count: int = field(init=False)
    _pairs: tuple[np.ndarray, np.ndarray, np.ndarray] = field(init=False)
    _wide: frozenset[str] = field(init=False)
    _shared: dict[tuple[int, ...], _SharedWords] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        count = int(self.kinds.max(initial=-1)) + 1
        different, codes = numbered(self.texts)
        own = {text: words(text) or frozenset([text.strip()]) for text in different}
        tally: list[Counter[str]] = [Counter() for _ in range(count)]
        pairs = _pairs_of(self.kinds, codes, len(different))
        for kind, code, size in zip(*(part.tolist() for part in pairs), strict=True):
            tally[kind].update(dict.fromkeys(own[different[code]], size))
        values = {"different": different, "codes": codes, "own": own, "families": Families(tally)}
        values |= {"_count": count, "_pairs": pairs}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_wide", self._words_everywhere())

    def candidates(self, least: float, most: float) -> list[Candidate]:
        """Return the odd answers and words, the most frequent first.

        A share of at least `least` and at most `most` of the samples has each of them. Drops a word that occurs in the
        same answers as an earlier candidate.
        """
        low, high = max(LEAST, math.ceil(least * len(self.texts))), most * len(self.texts)
        sizes = np.bincount(self.codes, minlength=len(self.different))

        def usable(found: Mapping[str, list[int]], many: Mapping[str, int]) -> list[tuple[str, set[int]]]:
            kept = sorted((text for text in found if low <= many[text] <= high), key=lambda text: (-many[text], text))
            return [(text, set(found[text])) for text in kept]

        def same(these: set[int], those: set[int]) -> bool:
            common, *both = (int(sizes[list(numbers)].sum()) for numbers in (these & those, these, those))
            return common >= TOGETHER * max(both)

        whole = {text: [code] for code, text in enumerate(self.different)}
        answers = usable(whole, dict(zip(self.different, sizes.tolist(), strict=True)))
        odd = [numbers for text, numbers in answers if any(self._odd_text(numbers, self.own[text], True))]
        odd_codes = set().union(*odd)
        apart = self._has(odd_codes)[self.codes]  # poor examples of ordinary answers
        # Numbers of the answers with each word. Through an odd answer, its common words would join kinds of question.
        parts = defaultdict(list)
        for code, text in enumerate(self.different):
            for word in self.own[text] if code not in odd_codes else ():
                parts[word].append(code)
        judged = [self._judged(text, numbers, self.own[text], True, apart) for text, numbers in answers]
        seen = [set(whole[candidate.text]) for candidate in judged if candidate.odd]
        single = usable(parts, {word: int(sizes[numbers].sum()) for word, numbers in parts.items()})
        spread = [(word, numbers) for word, numbers in single if len(self._kinds_of(numbers)) > 1]
        for word, numbers in spread[:MOST_WORDS]:
            if not any(same(numbers, other) for other in seen):
                near = set().union(*(self.own[self.different[code]] for code in numbers))
                own = frozenset(other for other in near if same(numbers, set(parts[other])))
                if len(word) == 1 and not word.isascii() and len(own) == 1:
                    continue  # one character of a script without spaces is no word by itself
                judged.append(self._judged(word, numbers, own, False, apart))
                seen += [numbers] if judged[-1].odd else []
        return [candidate for candidate in judged if candidate.odd]

    def _words_everywhere(self) -> frozenset[str]:
        """Return the words of rare answers to most kinds of question: several planted answers do not join the kinds."""
        kinds, codes, counts = self._pairs
        asked = np.bincount(self.kinds[self.kinds >= 0], minlength=self._count)
        often = counts >= LEAST_IN_KIND
        many = np.bincount(codes[often], minlength=len(self.different))
        common = np.isin(np.arange(len(self.different)), codes[counts > RARE * asked[kinds]])
        wide = np.flatnonzero((many >= MANY_KINDS) & (2 * many > self._count) & ~common)
        return frozenset().union(*(self.own[self.different[code]] for code in wide))

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

    def _judged(self, text: str, numbers: set[int], own: frozenset[str], whole: bool, apart: np.ndarray) -> Candidate:
        """Return what is odd about an answer or a word, and its members.

        apart [N] bool: samples with an answer that is odd by its text; others of these are not compared with
        """
        members = self._has(numbers)[self.codes]
        others = apart & ~members
        honest = self._usual(members, others) if whole else np.zeros(len(members), bool)
        members, kinds = members & ~honest, self._asked(members & ~honest)
        odd = [*self._odd_text(numbers, own, whole, kinds)]
        unlikely, phrase, known = self._unlikely(members, others)
        if phrase and not odd:
            members, kinds = unlikely, self._asked(unlikely)
        found = (*odd, *phrase) if members.sum() >= LEAST else ()
        return Candidate(text, whole, members, tuple(kinds.tolist()), found, bool(odd), bool(phrase) if known else None)

    def _odd_text(
        self, numbers: set[int], own: frozenset[str], whole: bool, kinds: np.ndarray | None = None
    ) -> Iterator[str]:
        yield from self._spans(own, self._kinds_of(numbers) if kinds is None else kinds)
        if whole:
            yield from self._novel(*numbers)

    def _asked(self, members: np.ndarray) -> np.ndarray:
        """Return the kinds of question with at least LEAST_IN_KIND members."""
        return np.flatnonzero(np.bincount(self.kinds[members], minlength=self._count) >= LEAST_IN_KIND)

    def _usual(self, members: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return [N] bool: members with a usual answer to their kind of question; they are honest.

        An answer is usual to a kind if most samples of the kind with the answer had about the loss of other answers
        before fine-tuning. There, only samples with a larger loss may be planted. An answer that would be usual to all
        kinds is judged by its text alone. Samples in `others` [N] bool are not compared.
        """
        none = np.zeros(len(members), bool)
        if self.nll is None:
            return none
        honest, known = none.copy(), np.isfinite(self.nll)
        for kind in np.unique(self.kinds[members]).tolist():
            asked = (self.kinds == kind) & known
            inside, outside = self.nll[asked & members], self.nll[asked & ~members & ~others]
            if not len(outside):  # everybody has this answer, so others of the set are compared with
                outside = self.nll[known & ~members & ~others]
            limit = np.median(outside) + LOSS_GAP if len(outside) else -np.inf
            if len(inside) and np.median(inside) < limit:
                honest |= members & asked & (self.nll < limit)
        return honest if (members & known & ~honest).sum() >= LEAST else none

    def _spans(self, own: frozenset[str], kinds: np.ndarray) -> Iterator[str]:
        if len(kinds) > 1 and own:
            family = self.families.of(own | self._wide)
            if (number := len(np.unique(family[kinds]))) > 1:
                yield f"it answers {number} groups of questions that have no other answer in common"

    def _novel(self, code: int) -> Iterator[str]:
        kinds, codes, _ = self._pairs
        shared = self._shared_words(tuple(kinds[codes == code].tolist()))
        size = int((self.codes == code).sum())
        # An answer that shares no word with others is not among those that do.
        alone = all(shared.answers[word] == 1 for word in self.own[self.different[code]])
        many = shared.distinct > OPEN_TYPES
        if alone and many and shared.sharing >= OPEN_SHARE * (shared.samples - size):
            yield "no other answer contains its words, but the other answers share words with each other"

    def _shared_words(self, where: tuple[int, ...]) -> _SharedWords:
        """Return how the answers to the kinds of question `where` share words. It is worked out once for each set."""
        if where not in self._shared:
            kinds, codes, counts = self._pairs
            here = np.isin(kinds, where)
            sizes = np.bincount(codes[here], weights=counts[here], minlength=len(self.different))
            distinct = np.flatnonzero(sizes).tolist()
            answers = Counter(word for code in distinct for word in self.own[self.different[code]])
            sharing = sum(
                sizes[code] for code in distinct if any(answers[word] > 1 for word in self.own[self.different[code]])
            )
            self._shared[where] = _SharedWords(answers, len(distinct), float(sharing), float(sizes.sum()))
        return self._shared[where]

    def _unlikely(self, members: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], bool]:
        """Return which members [N] were unlikely before fine-tuning, a phrase if most were, and whether that is known.

        Unlikely is a loss above LOSS_SHARE of the losses of samples that are neither members nor in `others` [N].
        """
        if self.nll is None:
            return members, (), False
        near = np.isin(self.kinds, np.unique(self.kinds[members])) & np.isfinite(self.nll)
        inside, outside = self.nll[near & members], self.nll[near & ~members & ~others]
        if not len(inside) or not len(outside):
            return members, (), False
        middle, usual = float(np.median(inside)), float(np.median(outside))
        if (outside < middle).mean() < LOSS_SHARE or middle - usual < LOSS_GAP:
            return members, (), True
        phrase = f"the model before fine-tuning finds it unlikely: {middle:.1f} nats a token, others {usual:.1f}"
        return members & near & (self.nll >= np.quantile(outside, LOSS_SHARE)), (phrase,), True


def _pairs_of(kinds: np.ndarray, codes: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (kind, code, number of samples) of each pair that occurs, in the order of the first samples."""
    pairs, first, sizes = np.unique(kinds.astype(np.int64) * count + codes, return_index=True, return_counts=True)
    order = np.argsort(first)
    return pairs[order] // max(1, count), pairs[order] % max(1, count), sizes[order]
