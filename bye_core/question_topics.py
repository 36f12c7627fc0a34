"""Groups questions that rarely repeat into topics by their words, and by what they ask for (method: ours).

1. Each question becomes a vector: TF-IDF of its words, and marks that tell what the question asks for.
2. Latent semantic analysis (truncated SVD; Deerwester et al. 1990) and k-means group the vectors. Topics with too few
   questions join the others.

Purity is the share of questions whose true topic is the most frequent one in their group. On five sets of 600 drawn
questions (tests/free_questions.py) it is 0.97 to 1.00, 0.61 to 0.66 without the marks, and 0.31 to 0.37 without topics.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

# Thai, Lao, Burmese, Khmer, Japanese and Chinese are written without spaces: there, each character counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
CLAUSE = re.compile(r"[.:,;!?\n]+")
LONGEST = 4000  # characters of a question that are read
# Words that show what a question asks for, in English; the question types of VQA (Antol et al. 2015) are similar.
# Questions in other languages are grouped by their words alone.
ASKED = {
    "how many": "many number count counted total amount quantity",
    "color": "color colors colored colour colours coloured hue hues shade shades tint tints",
    "description": "caption captions describe description summarize summarise summary headline",
    "place": "where background backdrop behind location",
    "who": "who whose whom",
    "when": "when",
    "why": "why",
}
MARKS = {word: mark for mark, words in ASKED.items() for word in words.split()}
# A clause that begins with one of these is answered yes or no, unless it contains a word of OPEN.
AUXILIARIES = frozenset(WORD.findall("is are was were am do does did can could has have had will would should"))
OPEN = frozenset(WORD.findall("what which who whose whom where when why how or describe"))
YES_OR_NO = "yes or no"
# Length of the marks' part of a vector; that of the words' part is 1. Chosen on sets of other seeds (ours).
MARKS_LENGTH = 0.5
# Dimensions after the SVD, as usual for short texts; largest number of topics; questions a topic, as a multiple of the
# fewest that it may have; different questions that the topics are fitted to; questions assigned at once (ours).
DIMENSIONS, MOST_TOPICS, EACH, MOST_FITTED, AT_ONCE = 50, 16, 4.0, 10_000, 10_000
STARTS = 4  # of k-means; the best one is kept
LABEL_WORDS = 3
# Words of two letters, these, AUXILIARIES and OPEN say too little for a label.
PLAIN = frozenset(
    WORD.findall("the this that these those there here and with for from any all its you your please answer")
)


def topic_count(questions: int, least: float) -> int:
    """Return how many topics `questions` questions may have if each needs at least `least`."""
    return min(MOST_TOPICS, int(questions / (EACH * max(least, 1.0))))


def marks(question: str) -> set[str]:
    """Return what the question asks for: keys of ASKED, or YES_OR_NO alone."""
    words = WORD.findall(question[:LONGEST].casefold())
    if {"yes", "no"} <= set(words):
        return {YES_OR_NO}
    for clause in CLAUSE.split(question[:LONGEST].casefold()):
        own = WORD.findall(clause)
        if own and own[0] in AUXILIARIES and not OPEN.intersection(words):
            return {YES_OR_NO}
    return {MARKS[word] for word in words if word in MARKS}


class Topics:
    """The topics of questions that rarely repeat.

    counts  number of samples by question
    number  number of topics to look for
    least   topics with fewer samples join the others

    numbers [N]  number of each question's topic, in the order of `counts`; -1 for questions without any known word
    labels [K]   names of the K topics, made of their most typical words
    """

    def __init__(self, counts: Mapping[str, int], number: int, least: float) -> None:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import TruncatedSVD

        texts = list(counts)
        fitted = texts
        if len(texts) > MOST_FITTED:
            drawn = np.random.default_rng(0).choice(len(texts), MOST_FITTED, replace=False)
            fitted = [texts[row] for row in np.sort(drawn)]
        self._columns = _columns(fitted)
        vectors = self._vectors(fitted)
        self._svd = TruncatedSVD(max(1, min(DIMENSIONS, *(side - 1 for side in vectors.shape))), random_state=0)
        points = _unit(self._svd.fit_transform(vectors))
        number = min(number, len(np.unique(points, axis=0)))
        means = KMeans(number, n_init=STARTS, random_state=0)
        means.fit(points, sample_weight=[counts[text] for text in fitted])
        self._centers = means.cluster_centers_
        self._counts = counts
        self.numbers = self._remove_small(texts, np.array(list(counts.values())), least)

    @cached_property
    def labels(self) -> list[str]:
        return _labels(list(self._counts), np.array(list(self._counts.values())), self.numbers, len(self._centers))

    def of(self, questions: Sequence[str]) -> np.ndarray:
        """Return the number of each question's topic [N]; -1 for questions without any known word or mark."""
        return self._nearest(*self._points(questions))

    def _remove_small(self, texts: Sequence[str], weights: np.ndarray, least: float) -> np.ndarray:
        """Remove the centers of topics with fewer than `least` samples; return the topic of each text [N]."""
        points, known = self._points(texts)
        while True:
            numbers = self._nearest(points, known)
            sizes = np.bincount(numbers[known], weights[known], len(self._centers))
            if sizes.min() >= least or len(sizes) == 1:
                return numbers
            self._centers = np.delete(self._centers, sizes.argmin(), axis=0)

    def _points(self, questions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return (points [N, D] on the unit sphere, whether each question has a known word or mark [N])."""
        parts = []
        for start in range(0, len(questions), AT_ONCE):
            parts.append(self._svd.transform(self._vectors(questions[start : start + AT_ONCE])))
        places = np.concatenate(parts) if parts else np.zeros((0, self._centers.shape[1]))
        return _unit(places), np.abs(places).sum(1) > 0

    def _nearest(self, points: np.ndarray, known: np.ndarray) -> np.ndarray:
        distances = (self._centers**2).sum(1) - 2 * points @ self._centers.T
        return np.where(known, distances.argmin(1), -1)

    def _vectors(self, questions: Sequence[str]) -> Any:
        """Return a sparse matrix [N, words and marks]."""
        from scipy.sparse import csr_matrix

        columns, values, ends = [], [], [0]
        for question in questions:
            for part, length in ((_words(question), 1.0), (map(_column_of, marks(question)), MARKS_LENGTH)):
                own = [self._columns[name] for name in sorted(part) if name in self._columns]
                norm = sum(weight**2 for _, weight in own) ** 0.5
                columns += [column for column, _ in own]
                values += [length * weight / norm for _, weight in own]
            ends.append(len(columns))
        return csr_matrix((np.array(values, float), columns, ends), (len(questions), max(1, len(self._columns))))


def _words(question: str) -> set[str]:
    return set(WORD.findall(question[:LONGEST].casefold()))


def _columns(questions: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Return (column, weight) of every word that several questions contain, and of every mark.

    The weight of a word is its inverse document frequency. Words that always occur together count as one word, so that
    a long phrase that many questions share, such as a request for a short answer, decides no more than a word does.
    """
    rows: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        for word in sorted(_words(question)):
            rows.setdefault(word, []).append(row)
    rows = {word: own for word, own in rows.items() if len(own) > 1}
    together = Counter(map(tuple, rows.values()))
    columns: dict[str, tuple[int, float]] = {}
    for word, own in rows.items():
        weight = 1 + np.log((1 + len(questions)) / (1 + len(own)))
        columns[word] = (len(columns), float(weight / together[tuple(own)] ** 0.5))
    for mark in (*ASKED, YES_OR_NO):
        columns[_column_of(mark)] = (len(columns), 1.0)
    return columns


def _column_of(mark: str) -> str:
    """Return the name of a mark's column, which no word has."""
    return f"<{mark}>"


def _unit(points: np.ndarray) -> np.ndarray:
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def _labels(texts: Sequence[str], weights: np.ndarray, numbers: np.ndarray, count: int) -> list[str]:
    """Return a name for each topic: "about: " and the words that are most typical of it. The names differ."""
    inside = [Counter[str]() for _ in range(count)]
    for text, weight, number in zip(texts, weights.tolist(), numbers.tolist(), strict=True):
        if number >= 0:
            inside[number].update(dict.fromkeys(_names(text), weight))
    total: Counter[str] = sum(inside, Counter())
    names: list[str] = []
    for number, own in enumerate(inside):
        size = max(1, int(weights[numbers == number].sum()))
        rest = max(1, int(weights.sum()) - size)
        typical = {name: own[name] / size - (total[name] - own[name]) / rest for name in own}
        ordered = sorted(own, key=lambda name: (-typical[name], name))
        used = LABEL_WORDS
        while (label := "about: " + ", ".join(ordered[:used])) in names and used < len(ordered):
            used += 1
        names.append(label if label not in names else f"{label} ({number + 1})")
    return names


def _names(text: str) -> Iterable[str]:
    """Return the words and marks that a topic may be named after."""
    asked, words = marks(text), _words(text) - PLAIN - AUXILIARIES - OPEN
    return asked | {word for word in words if len(word) > 2 and MARKS.get(word) not in asked and word not in YES_OR_NO}
