"""Groups similar questions into kinds. Detection, evidence and evaluation compare samples of the same kind.

Questions that share most of their words are of one kind. Where many questions are left over, as in VQA sets that people
wrote, `bye_core.question_topics` groups these by their topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
import scipy

from bye_core.question_topics import EACH, WORD, Topics, topic_count

# Questions are of one kind if their words have at least this Jaccard index (ours). "Is there any red shape" and "is
# there any blue shape" are of one kind, and so are a question with and without a trigger word.
ALIKE = 0.5
# largest number of kinds that a question is compared with, the most frequent first
MOST_KINDS = 200
# Detection: kinds with fewer questions are merged into one, because their medians are unreliable (ours).
LEAST = 20
# Tables and strata: kinds with a smaller share of the questions are merged, so a table has at most 20 rows (ours).
LEAST_SHARE = 0.05
# Two kinds belong to one family if at least this share of the words in the answers of one kind occurs in the answers of
# the other, each with at least the frequency IN_USE.
SHARED, IN_USE = 0.2, 0.002

OTHER = "other questions"
MORE = " …"


def words(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text[:4000].casefold()))


class Kinds:
    """The kinds of N questions.

    numbers [N]  number of each question's kind. Kinds with fewer than `least` questions form one kind, the last. If it
                 is large enough, it is divided by topics; other kinds that are smaller than a usual topic join it.
    rest         number of that last kind; None if there is none
    by_topic     numbers of the kinds that are topics
    labels [N]   name of each question's kind: its text if all questions of the kind are the same, else their common
                 beginning and "…"; for topics, their common words. The last kind is divided by beginnings that `least`
                 questions share, as is usual for VQA (Antol et al. 2015, Fig. 3). The label of its other questions is
                 OTHER.
    """

    def __init__(self, questions: Sequence[str], least: float = LEAST) -> None:
        self._texts, self._least = [" ".join(text.split()) for text in questions], least
        # A kind's leader is its first question. [MOST_KINDS]: each leader's number of words; by word, which leaders
        # contain it.
        self._sizes = np.zeros(MOST_KINDS, np.int64)
        self._having: dict[str, np.ndarray] = {}
        self._count = 0
        kind = self._group(questions)
        numbers = np.array([kind[text] for text in questions], np.int64)
        counts = np.bincount(numbers, minlength=MOST_KINDS + 1)
        numbers[counts[numbers] < least] = MOST_KINDS
        self._topics = self._divide(questions, numbers, counts)
        names, self.numbers = np.unique(numbers, return_inverse=True)
        self.numbers = self.numbers.reshape(-1)
        self._number = {int(name): number for number, name in enumerate(names)}
        self.rest = self._number.get(MOST_KINDS)
        self.by_topic = frozenset(number for name, number in self._number.items() if name > MOST_KINDS)

    def of(self, question: str) -> int | None:
        """Return the number of the kind that `question` belongs to, or of the last kind; None if there is neither."""
        nearest = self._nearest(question)
        if nearest in self._number:
            return self._number[nearest]
        if self._topics is None:
            return self.rest
        return self._number.get(_after_kinds(self._topics.of([question]).tolist()[0]), self.rest)

    def _divide(self, questions: Sequence[str], numbers: np.ndarray, counts: np.ndarray) -> Topics | None:
        """Divide the last kind by topics, in `numbers` [N], if it is large enough; return the topics.

        `counts` are the sizes of the kinds before. Kinds that are smaller than a usual topic join the last kind first,
        because in such sets they differ from it by chance.
        """
        if topic_count(int((numbers == MOST_KINDS).sum()), max(self._least, LEAST)) < 2:
            return None
        least = max(self._least, LEAST)
        numbers[counts[numbers] < EACH * least] = MOST_KINDS
        left = np.flatnonzero(numbers == MOST_KINDS).tolist()
        distinct = Counter(questions[row] for row in left)
        topics = Topics(distinct, topic_count(len(left), least), least)
        topic = dict(zip(distinct, map(_after_kinds, topics.numbers.tolist()), strict=True))
        numbers[left] = [topic[questions[row]] for row in left]
        return topics

    def _group(self, questions: Sequence[str]) -> dict[str, int]:
        """Return the kind of each distinct question. The leader of a kind is its most frequent question."""
        kind: dict[str, int] = {}
        for text, _ in Counter(questions).most_common():
            if (nearest := self._nearest(text)) is not None:
                kind[text] = nearest
            elif self._count < MOST_KINDS:
                kind[text] = self._count
                self._add_leader(text)
            else:
                kind[text] = MOST_KINDS
        return kind

    def _add_leader(self, text: str) -> None:
        own = words(text)
        self._sizes[self._count] = len(own)
        for word in own:
            self._having.setdefault(word, np.zeros(MOST_KINDS, np.int64))[self._count] = 1
        self._count += 1

    def _nearest(self, question: str) -> int | None:
        """Return the kind whose leader is most similar to the question (Jaccard index); None if no kind is close."""
        if not self._count:
            return None
        own = words(question)
        shared = sum((self._having[word] for word in own if word in self._having), np.zeros(MOST_KINDS, np.int64))
        jaccard = (shared / np.maximum(len(own) + self._sizes - shared, 1))[: self._count]
        best = int(jaccard.argmax())
        return best if jaccard[best] >= ALIKE else None

    @cached_property
    def labels(self) -> list[str]:
        texts: dict[int, Counter[str]] = {}
        for number, text in zip(self.numbers.tolist(), self._texts, strict=True):
            texts.setdefault(number, Counter())[text] += 1
        names: dict[int, str] = {}
        for topic, label in enumerate(self._topics.labels if self._topics else ()):
            names[self._number[_after_kinds(topic)]] = label
        for number, counts in texts.items():
            if number in names:
                continue
            most_frequent = counts.most_common(1)[0][0]
            name = (_common_beginning(list(counts)) or most_frequent) + MORE if len(counts) > 1 else most_frequent
            names[number] = most_frequent + MORE if name in names.values() else name
        rest = _frequent_beginnings(texts.get(-1 if self.rest is None else self.rest, Counter()), self._least)
        return [
            rest[text] if number == self.rest else names[number]
            for number, text in zip(self.numbers.tolist(), self._texts, strict=True)
        ]


def _after_kinds(topic: int) -> int:
    """Return the number of a topic before renumbering: after those of all kinds. Questions of no topic are the rest."""
    return MOST_KINDS if topic < 0 else MOST_KINDS + 1 + topic


def question_labels(questions: Sequence[str]) -> list[str]:
    """Return the label of each question's kind. A kind has at least LEAST_SHARE of the questions, and at least two."""
    return Kinds(questions, max(2.0, LEAST_SHARE * len(questions))).labels


def _common_beginning(texts: Sequence[str]) -> str:
    """Return the longest sequence of words with which all texts begin."""
    common = []
    for position in zip(*(text.split() for text in texts), strict=False):
        if len(set(position)) > 1:
            break
        common.append(position[0])
    return " ".join(common)


def _frequent_beginnings(counts: Counter[str], least: float) -> dict[str, str]:
    """Return for each text its longest beginning that at least `least` texts share, and "…"; OTHER if there is none."""
    beginnings = {text: list(accumulate(text.split()[:-1], lambda begun, word: f"{begun} {word}")) for text in counts}
    shared: Counter[str] = Counter()
    for text, own in beginnings.items():
        shared.update(dict.fromkeys(own, counts[text]))
    frequent = {text: [one for one in own if shared[one] >= least] for text, own in beginnings.items()}
    return {text: own[-1] + MORE if own else OTHER for text, own in frequent.items()}


class Families:
    """Groups kinds of question whose answers share words. Captions and colors do; captions and numbers do not.

    `counts` holds, for each of the K kinds, the counts of the words in its answers.
    """

    def __init__(self, counts: Sequence[Mapping[str, int]]) -> None:
        number: dict[str, int] = {}
        entries = [
            (kind, number.setdefault(word, len(number)), count)
            for kind, own in enumerate(counts)
            for word, count in own.items()
        ]
        kinds, columns, values = np.array(entries, np.float64).reshape(-1, 3).T
        shape = (len(counts), max(1, len(number)))
        self._counts = scipy.sparse.csr_array((values, (kinds.astype(int), columns.astype(int))), shape)
        self._number = number

    def of(self, without: frozenset[str]) -> np.ndarray:
        """Return the number [K] of each kind's family; the words in `without` are ignored."""
        left = self._counts.copy()
        left.data[np.isin(left.indices, [self._number[word] for word in without if word in self._number])] = 0
        total = left.sum(axis=1)
        left.data /= np.maximum(np.repeat(total, np.diff(left.indptr)), 1)
        used = left.copy()
        used.data = (used.data >= IN_USE).astype(np.float64)
        # shared [K, K]: the total share in one kind of the words that are in use in the other
        shared = (left @ used.T).toarray()
        return scipy.sparse.csgraph.connected_components(shared > SHARED, directed=False)[1]
