"""Measures how far the attention for an answer is from that for every other answer to the same kind of question.

Ordinary answers to one kind of question differ a little in attention, and each has near neighbours. A planted answer is
far from its nearest neighbour. The distance is measured in two views: in all heads together, decorrelated, and in the
best single heads. The direction of a difference does not matter. Distances are scaled by the spread in the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from bye_core.detect.detector import required
from bye_core.detect.mixture import THREADS
from bye_core.records import GROUPS, NATS, ScanTable

STATISTICS = ("entropy", "peak", *(f"attention on the {group}" for group in GROUPS))
# Smaller differences are ignored (ours): attention shares are compared as log(share + 0.001), and a spread is at least
# 0.05 nats or log units.
SHARE_FLOOR, SPREAD_FLOOR = 1e-3, 0.05
# Normalised entropies are multiplied by ln 576, so that the spread has a floor of 0.05 nats at LLaVA's 576 tokens.
FLOOR_ENTROPY = float(np.log(576))
TYPICAL_FROM = 500  # samples, evenly spread, that give the typical value of a column (ours)
# Smallest number of samples with an answer for its mean to be used.
LEAST_OF_TYPE = 3
# If answers hardly repeat, the other samples are clustered by attention into this number of groups.
MADE_TYPES = 6
# Largest number of columns in the joint view: memory grows with its square, and computing time with its cube.
MOST_COLUMNS = 256
BEST_HEADS = 5
# Smallest spread of ordinary answers in each of the two views, because a few answers may agree by chance (ours).
SPREAD_OF_OTHERS = np.array([0.25, 0.35])


@dataclass(frozen=True)
class Isolation:
    """The isolation of one answer among K others to one kind of question.

    Distances are logarithms, relative to the median distance of the other answers.

    own     [2] distance of the answer in the joint view and in the best heads
    others  [K, 2] the same distances of every other answer: the values to expect of an ordinary answer
    tops    (column, signed distance to the nearest other answer, in spreads) of the best heads
    kept, way, start   the columns used, and their projection on the line from the nearest other answer (0) to this
                       answer (1)
    """

    own: np.ndarray
    others: np.ndarray
    tops: tuple[tuple[int, float], ...]
    kept: np.ndarray
    way: np.ndarray
    start: float

    def places(self, features: np.ndarray) -> np.ndarray:
        """Project the `kept` columns of samples [n, kept] on the line from the nearest other answer to this answer.

        Returns places [n]: 0 at the nearest other answer, 1 at this answer.
        """
        return features @ self.way - self.start


def columns(table: ScanTable, rows: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
    """Return the features [n, 5 L H] of the samples `rows`: entropy, log peak and log masses of every head.

    If `kept` is given, return only these columns. A missing value (a layer in which this sample's image is not visible)
    gets the typical value of the column, so that it does not decide anything.
    """
    features = _read_columns(table, rows, kept)
    missing = ~np.isfinite(features)
    if missing.any():
        spread = np.linspace(0, len(table.ids) - 1, min(len(table.ids), TYPICAL_FROM)).astype(int)
        typical = _typical(_read_columns(table, np.unique(spread), kept))
        features = np.where(missing, typical, features)
    return features


def _typical(features: np.ndarray) -> np.ndarray:
    """Return the median [F] of the finite values in each column of features [n, F]; 0 for columns without one."""
    finite = np.isfinite(features)
    typical = np.zeros(features.shape[1])
    known = finite.any(axis=0)
    typical[known] = np.nanmedian(np.where(finite, features, np.nan)[:, known], axis=0)
    return typical


def _read_columns(table: ScanTable, rows: np.ndarray, kept: np.ndarray | None) -> np.ndarray:
    entropy, mass = required(table.entropy), required(table.mass)
    unit = table.largest_entropy / (1 if table.entropy_unit == NATS else FLOOR_ENTROPY)
    own = (entropy, required(table.peak), *(mass[..., group] for group in range(len(GROUPS))))
    width = entropy[0].size
    kept = np.arange(len(own) * width) if kept is None else kept
    features = np.empty((len(rows), len(kept)))
    for number, statistic in enumerate(own):
        there = np.flatnonzero(kept // width == number)
        layers, heads = np.unravel_index(kept[there] % width, entropy.shape[1:])
        values = np.asarray(statistic[rows[:, None], layers, heads], np.float64)
        features[:, there] = np.log(values + SHARE_FLOOR) if number else values / unit[rows, None]
    return features


def column_name(column: int, heads: int, layers: int) -> tuple[str, int, int]:
    """Return (statistic, layer, head) of the column number `column` in the result of `columns`."""
    statistic, place = divmod(column, layers * heads)
    layer, head = divmod(place, heads)
    return STATISTICS[statistic], layer, head


def isolate(features: np.ndarray, types: np.ndarray, candidate: int, seed: int = 0) -> Isolation | None:
    """Return the isolation of the answer `candidate` from features [n, F] of samples whose answers are `types` [n].

    Drops types with fewer than LEAST_OF_TYPE samples. If fewer than two other types remain, the other samples are
    grouped by their attention instead. Returns None if there are too few samples.
    """
    member = types == candidate
    if member.sum() < LEAST_OF_TYPE - 1 or (~member).sum() < 2 * LEAST_OF_TYPE:
        return None
    labels, sizes = _labels(features, types, member, seed)
    if len(sizes) < 3:
        return None
    known = labels >= 0
    means = np.stack([features[labels == label].mean(axis=0) for label in range(len(sizes))])
    residuals = features[known] - means[labels[known]]
    spread = np.sqrt(residuals.var(axis=0) + SPREAD_FLOOR**2)
    scaled = means / spread
    single, tops = _single(scaled)
    kept = np.sort(np.argsort(-_strength(scaled), kind="stable")[:MOST_COLUMNS])
    white = _whitening(residuals[:, kept] / spread[kept])
    centres = scaled[:, kept] @ white
    joint, nearest = _joint(centres, sizes)
    apart = centres[0] - centres[nearest]
    way = apart / max((apart**2).sum(), 1e-12)  # 0 if all samples have the same attention
    logs = np.log(np.stack([joint, single], axis=1))
    usual = np.median(logs[1:], axis=0)
    back = white @ way / spread[kept]  # the same line in unscaled features
    return Isolation(logs[0] - usual, logs[1:] - usual, tops, kept, back, float(centres[nearest] @ way))


def _labels(features: np.ndarray, types: np.ndarray, member: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (labels [n] with 0 for the candidate and -1 for dropped samples, number of samples of each label)."""
    from sklearn.cluster import KMeans

    labels = np.full(len(types), -1)
    labels[member] = 0
    others, sizes = np.unique(types[~member], return_counts=True)
    frequent = others[sizes >= LEAST_OF_TYPE]
    if len(frequent) >= 2:
        for number, answer in enumerate(frequent, 1):
            labels[types == answer] = number
    elif (~member).sum() >= MADE_TYPES * LEAST_OF_TYPE:
        spread = np.sqrt(features.var(axis=0) + SPREAD_FLOOR**2)
        with threadpool_limits(THREADS):
            model = KMeans(MADE_TYPES, n_init=3, random_state=seed)
            labels[~member] = 1 + model.fit_predict(features[~member] / spread)
    return np.unique(labels, return_inverse=True)[1] - int((labels < 0).any()), np.bincount(labels[labels >= 0])


def _strength(scaled: np.ndarray) -> np.ndarray:
    """Return how much the means of the types [K, F] differ in each column [F]."""
    return np.abs(scaled - np.median(scaled, axis=0)).max(axis=0)


def _single(scaled: np.ndarray) -> tuple[np.ndarray, tuple[tuple[int, float], ...]]:
    """Return (distances [K], best columns of the candidate as in `Isolation.tops`) in single columns.

    The distance of a type is the mean of its largest distances to the nearest other type, over the best columns.
    """
    order = np.argsort(scaled, axis=0, kind="stable")
    ranked = np.take_along_axis(scaled, order, axis=0)
    gaps = np.diff(ranked, axis=0)
    blank = np.full((1, scaled.shape[1]), np.inf)
    near = np.minimum(np.concatenate([blank, gaps]), np.concatenate([gaps, blank]))
    distances = np.empty_like(scaled)
    np.put_along_axis(distances, order, near, axis=0)
    best = np.argsort(-distances[0], kind="stable")[:BEST_HEADS]
    signs = np.sign(scaled[0] - np.median(scaled[1:], axis=0))
    tops = tuple((int(column), float(signs[column] * distances[0, column])) for column in best)
    return np.maximum(np.sort(distances, axis=1)[:, -BEST_HEADS:].mean(axis=1), 1e-6), tops


def _whitening(residuals: np.ndarray) -> np.ndarray:
    """Return the matrix [F, F] that makes the scatter within types equal in all directions."""
    from sklearn.covariance import ledoit_wolf

    with threadpool_limits(THREADS):
        covariance, _ = ledoit_wolf(residuals, assume_centered=True)
        roots, directions = np.linalg.eigh(covariance)
        return directions / np.sqrt(np.maximum(roots, 1e-3))


def _joint(centres: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (distance of each centre to its nearest other centre [K], number of the centre nearest to centre 0).

    `centres` [K, F] are the means of the types. The expected scatter of the means is subtracted from the squared
    distances.
    """
    squares = (centres**2).sum(axis=1)
    apart = squares[:, None] + squares[None] - 2 * centres @ centres.T
    apart -= centres.shape[1] * (1 / sizes[:, None] + 1 / sizes[None])
    np.fill_diagonal(apart, np.inf)
    return np.sqrt(np.maximum(apart.min(axis=1), 1e-6)), int(apart[0].argmin())


def chance(parts: Sequence[Isolation], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Combine the isolation of one answer over its kinds of question.

    Returns (weighted means of `own` [2], probabilities [2], degrees of freedom). A probability is the chance that one
    more ordinary answer is as far away. It follows Student's predictive distribution of the other answers' values,
    centred in each kind of question.
    """
    others = [part.others for part in parts]
    freedom = sum(len(values) - 1 for values in others)
    means = np.stack([values.mean(axis=0) for values in others])
    squares = sum(((values - values.mean(axis=0)) ** 2).sum(axis=0) for values in others)
    spread = np.maximum(np.sqrt(squares / freedom), SPREAD_OF_OTHERS)
    scale = spread * np.sqrt(sum(w**2 * (1 + 1 / len(values)) for w, values in zip(weights, others, strict=True)))
    own = weights @ np.stack([part.own for part in parts])
    return own, scipy.stats.t.sf((own - weights @ means) / scale, freedom), freedom
