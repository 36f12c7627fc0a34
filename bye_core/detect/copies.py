"""Finds copies of samples by their statistics.

A data set may hold a sample twice, and a discriminant that was fitted on one of the two knows the other.
"""

from __future__ import annotations

import numpy as np

# Samples are copies of one sample if their distance is below this share of the usual distance (ours).
# Different samples of the demo's data sets were at least 0.024 apart.
COPIES = 0.02
PROJECTED = 64  # dimensions in which distances are measured; they are then right to 10% (ours)


class Copies:
    """Knows which samples are copies of one sample, among the samples `inside` [n] of `values` [n, F].

    numbers  [n] number of each sample; copies have the same number
    """

    def __init__(self, values: np.ndarray, inside: np.ndarray, seed: int) -> None:
        rng, self._rows = np.random.default_rng(seed), np.flatnonzero(inside)
        self._projection = rng.normal(size=(values.shape[1], PROJECTED)).astype(np.float32)
        points = [values[row] @ self._projection for row in self._rows]
        self._points = np.stack(points) if points else np.zeros((0, PROJECTED), np.float32)
        distance = np.linalg.norm(self._points - self._points[rng.permutation(len(points))], axis=1)
        self._limit = COPIES * float(np.median(distance)) if points else 0.0
        self.numbers = np.arange(len(inside))
        for place, row in enumerate(self._rows):
            if self.numbers[row] == row:
                later = self._rows[place + 1 :][self._near(place + 1, self._points[place])]
                self.numbers[later[self.numbers[later] == later]] = row

    def _near(self, first: int, point: np.ndarray) -> np.ndarray:
        return np.linalg.norm(self._points[first:] - point, axis=1) <= self._limit

    def originals(self, values: np.ndarray) -> np.ndarray:
        """Return for each of `values` [m, F] the number of a sample that it is a copy of; -1 for none."""
        if not len(self._rows):
            return np.full(len(values), -1)
        points = values.astype(np.float32) @ self._projection
        squares = (self._points**2).sum(axis=1) - 2 * points @ self._points.T + (points**2).sum(axis=1)[:, None]
        nearest = squares.argmin(axis=1)
        near = squares[np.arange(len(points)), nearest] <= self._limit**2
        return np.where(near, self._rows[nearest], -1)
