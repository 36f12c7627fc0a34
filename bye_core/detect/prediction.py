"""Predicts from the attention which samples belong to a group, although some labels of the group are wrong.

The statistics of all heads are taken relative to the median of the kind of question. A linear discriminant with
shrinkage learns the difference between the group and the ordinary samples: one discriminant for all kinds of question
together, and one for each kind with enough members. Each sample is judged by discriminants that were fitted without it.
Then the group is reduced to its members that the attention predicts, and the discriminants are fitted again. At first,
only the discriminant of all kinds is used: that of a kind with many wrong labels among its candidates would fit these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bye_core.detect.copies import Copies
from bye_core.detect.isolation import columns
from bye_core.detect.mixture import THREADS
from bye_core.detect.place_mixture import LEAST, UNKNOWN, PlaceMixture, mixture_of_candidates
from bye_core.records import ScanTable

FOLDS = 5
PASSES = 6  # largest number of times that the discriminants are fitted (ours; the group usually settles in three)
CLIP = 20.0  # robust deviations; larger ones would decide the discriminant alone (ours)
MOST_COLUMNS = 512  # of the largest difference between the group and the other samples; bounds time and memory (ours)
MOST_FITTED = 10_000  # samples that the discriminants are fitted on; all others are judged by the final ones (ours)
AT_ONCE = 2_000  # samples whose statistics are in memory at once, besides the fitted ones


class Prediction(NamedTuple):
    """The result of `predict`.

    places     [N] 0 at the median of the ordinary samples, 1 at the median of the group; NaN for samples left out
    posterior  [N] for each candidate the probability that it is a member of the group; 0 for all other samples
    members    [N] bool: candidates with a posterior above one half
    heads      the (layer, head) pairs that differ most between members and ordinary samples, the best first
    predictor  judges samples from outside the table; None if no group was found
    """

    places: np.ndarray
    posterior: np.ndarray
    members: np.ndarray
    heads: list[tuple[int, int]]
    predictor: Predictor | None


class _Direction(NamedTuple):
    """A linear discriminant: place = features[:, kept] @ weights - start."""

    kept: np.ndarray
    weights: np.ndarray
    start: float

    def places(self, features: np.ndarray) -> np.ndarray:
        return features[:, self.kept] @ self.weights - self.start


def predict(
    table: ScanTable, used: np.ndarray, candidates: np.ndarray, apart: np.ndarray, kinds: np.ndarray, seed: int
) -> Prediction:
    """Find the members of a group among `candidates` by their attention.

    used        [N] bool, the samples that are judged
    candidates  [N] bool, the samples that may belong to the group; many need not
    apart       [N] bool, samples that are neither candidates nor examples of ordinary samples
    kinds       [N] number of each sample's kind of question
    """
    # Limiting threads takes as long as fitting a discriminant, so it is done once, after the libraries are loaded.
    import sklearn.discriminant_analysis

    with threadpool_limits(THREADS), sklearn.config_context(skip_parameter_validation=True):
        return _predict(table, used, candidates, apart, kinds, seed)


def _predict(
    table: ScanTable, used: np.ndarray, candidates: np.ndarray, apart: np.ndarray, kinds: np.ndarray, seed: int
) -> Prediction:
    fitted = draw(table.ids, used, candidates, MOST_FITTED, seed)
    frame = _Frame(table, fitted, kinds[fitted])
    inside, other = candidates[fitted], candidates[fitted] | apart[fitted]
    ordinary, group = ~other, inside
    known = Copies(frame.values, inside, seed)
    fold = _folds([table.ids[row] for row in fitted.tolist()], inside, ordinary, known.numbers, seed)
    own, posterior = np.zeros(len(fitted)), np.zeros(len(fitted))
    model = UNKNOWN
    for number in range(PASSES):
        own = frame.cross_fitted(group, ~group & ~apart[fitted], fold, together=number == 0)
        model = mixture_of_candidates(own[inside], own[ordinary])
        posterior = np.where(inside, model.posterior(own), 0.0)
        previous, group = group, posterior > 0.5
        if number == 0:  # in kinds with few members so far, a trigger may show in another way: all candidates stay
            group |= inside & frame.few_of_kind(group)
        if group.sum() < LEAST or (number > 0 and np.array_equal(group, previous)):
            break
    places, chances = np.full(len(used), np.nan), np.zeros(len(used))
    places[fitted], chances[fitted] = own, posterior
    if group.sum() < LEAST:
        return Prediction(places, chances, chances > 0.5, frame.best_heads(group, ordinary), None)
    predictor = Predictor(frame, group, ~group & ~apart[fitted], model)
    rest = np.flatnonzero(used & ~np.isin(np.arange(len(used)), fitted))
    for start in range(0, len(rest), AT_ONCE):
        batch = rest[start : start + AT_ONCE]
        values = predictor.values(table, batch, kinds[batch])
        places[batch] = predictor.places_of(values, kinds[batch])
        inside = candidates[batch]
        original = known.originals(values[inside])
        places[batch[inside]] = np.where(original >= 0, own[original], places[batch[inside]])
        chances[batch] = np.where(candidates[batch], model.posterior(places[batch]), 0.0)
    return Prediction(places, chances, chances > 0.5, frame.best_heads(group, ordinary), predictor)


class Predictor:
    """Discriminants that were fitted on all samples of a group, and the distributions of the places."""

    def __init__(self, frame: _Frame, inside: np.ndarray, outside: np.ndarray, mixture: PlaceMixture) -> None:
        self.mixture = mixture
        self._numbers, self._medians, self._spread = frame.numbers, frame.medians, frame.spread
        self._directions = list(frame.directions(inside, outside))

    def places(self, table: ScanTable, rows: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Return the places [n] of the samples `rows` of `table`; NaN for kinds that the fitted samples lack.

        kinds [n]: number of each sample's kind of question; -1 if it is of no known kind
        """
        places = np.zeros(len(rows))
        for start in range(0, len(rows), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            places[some] = self.places_of(self.values(table, rows[some], kinds[some]), kinds[some])
        return places

    def values(self, table: ScanTable, rows: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Return the statistics [n, F] of the samples `rows` as robust deviations, as in `_Frame`."""
        return np.clip((columns(table, rows) - self._medians[self._kind(kinds)]) / self._spread, -CLIP, CLIP)

    def with_kind(self, table: ScanTable, rows: np.ndarray, kind: int, seed: int) -> Predictor:
        """Return a predictor that also judges a kind of question that was not fitted, of which `rows` are samples.

        It judges them by the discriminant of all kinds, relative to the median of their own kind.
        """
        used = np.zeros(len(table.ids), bool)
        used[rows] = True
        some = columns(table, draw(table.ids, used, np.zeros(len(used), bool), AT_ONCE, seed))
        place, wider = int(np.searchsorted(self._numbers, kind)), copy(self)
        wider._numbers = np.insert(self._numbers, place, kind)
        wider._medians = np.insert(self._medians, place, np.median(some, axis=0), axis=0)
        return wider

    def _kind(self, kinds: np.ndarray) -> np.ndarray:
        return np.clip(np.searchsorted(self._numbers, kinds), 0, len(self._numbers) - 1)

    def places_of(self, values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        known = self._numbers[self._kind(kinds)] == kinds
        places = np.where(known, self._directions[0][1].places(values), np.nan)
        for kind, direction in self._directions[1:]:
            same = kinds == kind
            places[same] = np.maximum(places[same], direction.places(values[same]))
        return places


def draw(ids: Sequence[str], used: np.ndarray, candidates: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return all rows that are used, or `most` of them; up to half are candidates. Their order does not matter."""
    rows = np.flatnonzero(used)
    if len(rows) <= most:
        return rows
    rows = rows[_by_id([ids[row] for row in rows.tolist()])]
    rng = np.random.default_rng(seed)
    inside, outside = (rng.permutation(rows[candidates[rows] == side]) for side in (True, False))
    inside = inside[: max(most // 2, most - len(outside))]
    return np.sort(np.concatenate([inside, outside[: most - len(inside)]]))


class _Frame:
    """The statistics of the fitted samples as robust deviations from the median of their kind of question: [n, F]."""

    def __init__(self, table: ScanTable, rows: np.ndarray, kinds: np.ndarray) -> None:
        values = columns(table, rows).astype(np.float32)
        self.kinds, self.numbers = kinds, np.unique(kinds)
        self.medians = np.stack([np.median(values[kinds == kind], axis=0) for kind in self.numbers])
        values -= self.medians[np.searchsorted(self.numbers, kinds)]
        self.spread = np.maximum(1.4826 * np.median(np.abs(values), axis=0), 1e-6)
        self.values = np.clip(values / self.spread, -CLIP, CLIP, out=values)
        self._shape = np.asarray(table.entropy).shape[1:]

    def cross_fitted(
        self, inside: np.ndarray, outside: np.ndarray, fold: np.ndarray, together: bool = False
    ) -> np.ndarray:
        """Return the place [n] of each fitted sample, by discriminants that were fitted without it.

        Without any discriminant, a sample counts as ordinary: its place is 0. If `together`, only the discriminant of
        all kinds of question is used.
        """
        places = np.zeros(len(fold))
        for number in range(FOLDS):
            own, known = fold == number, fold != number
            for kind, direction in self.directions(inside & known, outside & known, together):
                here = own if kind is None else own & (self.kinds == kind)
                judged = direction.places(self.values[here])
                places[here] = judged if kind is None else np.maximum(places[here], judged)
        return places

    def few_of_kind(self, group: np.ndarray) -> np.ndarray:
        """Return [n] bool: samples of kinds of question with too few of the `group` [n] for a discriminant."""
        few = [kind for kind in self.numbers if (group & (self.kinds == kind)).sum() < LEAST]
        return np.isin(self.kinds, few)

    def directions(
        self, inside: np.ndarray, outside: np.ndarray, together: bool = False
    ) -> Iterator[tuple[int | None, _Direction]]:
        """Yield (None, the discriminant of all samples), then, unless `together`, (kind, its own discriminant).

        Yields nothing if one side is empty: if all members are copies of one sample, they come into one fold.
        """
        if not (inside.any() and outside.any()):
            return
        yield None, self._fit(inside, outside)
        for kind in self.numbers.tolist() if len(self.numbers) > 1 and not together else ():
            rows = self.kinds == kind
            if (inside & rows).sum() >= LEAST and (outside & rows).sum() >= 2 * LEAST:
                yield kind, self._fit(inside & rows, outside & rows)

    def _fit(self, inside: np.ndarray, outside: np.ndarray) -> _Direction:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        distance = np.abs(self.values[inside].mean(axis=0) - self.values[outside].mean(axis=0))
        kept = np.sort(np.argsort(-distance, kind="stable")[:MOST_COLUMNS])
        known = inside | outside
        values = self.values[known][:, kept].astype(np.float64)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(values, inside[known])
        weights = model.coef_[0]
        decision = values @ weights
        low, high = np.median(decision[~inside[known]]), np.median(decision[inside[known]])
        length = max(high - low, 1e-9)
        return _Direction(kept, weights / length, float(low / length))

    def best_heads(self, inside: np.ndarray, outside: np.ndarray, most: int = 5) -> list[tuple[int, int]]:
        """Return the heads with a statistic that differs most between the samples, in spreads; the best first."""
        if not inside.any():
            return []
        there, ordinary = self.values[inside], self.values[outside]
        pooled = np.sqrt((there.var(axis=0) + ordinary.var(axis=0)) / 2 + 1e-6)
        distance = np.abs(there.mean(axis=0) - ordinary.mean(axis=0)) / pooled
        places = np.argsort(-distance, kind="stable") % int(np.prod(self._shape))
        best = dict.fromkeys(places[: 4 * most].tolist())
        return [divmod(place, self._shape[1]) for place in list(best)[:most]]


def _folds(ids: Sequence[str], inside: np.ndarray, outside: np.ndarray, copies: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold [n] of each sample; the samples inside, outside and neither are divided evenly.

    copies [n]: samples with the same number come into the same fold
    The order of the samples in the table does not matter.
    """
    rng, fold, order = np.random.default_rng(seed), np.zeros(len(inside), np.int64), _by_id(ids)
    for group in (inside, outside, ~inside & ~outside):
        rows = rng.permutation(order[group[order]])
        _, first, own = np.unique(copies[rows], return_index=True, return_inverse=True)
        fold[rows] = np.argsort(np.argsort(first))[own] % FOLDS
    return fold


def _by_id(ids: Sequence[str]) -> np.ndarray:
    """Return the positions [n] of the samples in the order of their `ids`."""
    return np.array(sorted(range(len(ids)), key=lambda row: ids[row]), np.int64)
