"""Fits the mixture of two Gaussians to many values, as scikit-learn's GaussianMixture does, from a fine histogram.

A pass over all values for every step of the fit takes minutes with a million values in each of 32 layers. Here the
values are counted in BINS bins of equal width. Every sum of the fit is then a sum over bins, of their counts, means and
variances: only the responsibilities are those of a bin's mean instead of those of each value (ours).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy

BINNED_FROM = 200_000  # values; fewer are fitted exactly (ours)
BINS = 2**16  # a bin is then about 1e-4 nats wide (ours)
# scikit-learn's defaults, and its guard against empty components.
REGULARISATION, TOLERANCE, MOST_STEPS, GUARD = 1e-6, 1e-3, 100, 10 * np.finfo(np.float64).eps
AT_ONCE = 2**20  # values whose component is computed at once


class Bins(NamedTuple):
    """Counts [B], means [B] and variances [B] of the values in each bin that is not empty."""

    counts: np.ndarray
    means: np.ndarray
    variances: np.ndarray


class Components(NamedTuple):
    """Means, variances and weights of the two components, [2] each; and whether the fit converged."""

    means: np.ndarray
    variances: np.ndarray
    weights: np.ndarray
    converged: bool = True

    def log_parts(self, values: np.ndarray) -> np.ndarray:
        """Return [N, 2] the log of weight times density of each component at each value."""
        squares = (values[:, None] - self.means) ** 2 / self.variances
        return np.log(self.weights) - (squares + np.log(2 * math.pi * self.variances)) / 2

    def share_of_first(self, values: np.ndarray) -> np.ndarray:
        """Return [N] the probability that a value belongs to the first component."""
        shares = np.empty(len(values))
        for start in range(0, len(values), AT_ONCE):
            logs = self.log_parts(values[start : start + AT_ONCE])
            shares[start : start + AT_ONCE] = scipy.special.expit(logs[:, 0] - logs[:, 1])
        return shares


def count_bins(values: np.ndarray, bins: int = BINS) -> Bins:
    """Count finite `values` [N] in bins of equal width between the lowest and the highest value."""
    low, high = float(values.min()), float(values.max())
    counts, sums, squares = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    for start in range(0, len(values), AT_ONCE):
        offsets = values[start : start + AT_ONCE] - low
        places = np.minimum((offsets * (bins / (high - low))).astype(np.int64), bins - 1)
        inside = offsets - (places + 0.5) * ((high - low) / bins)  # from the middle of the bin, for exact sums
        counts += np.bincount(places, minlength=bins)
        sums += np.bincount(places, inside, minlength=bins)
        squares += np.bincount(places, inside**2, minlength=bins)
    full = np.flatnonzero(counts)
    counts, shifts = counts[full], sums[full] / counts[full]
    means = low + (full + 0.5) * ((high - low) / bins) + shifts
    return Bins(counts, means, np.maximum(squares[full] / counts - shifts**2, 0))


def fit_bins(bins: Bins) -> Components:
    """Fit two components: first those of k-means, then expectation and maximisation until the likelihood rests."""
    from sklearn.cluster import KMeans

    start = KMeans(n_clusters=2, n_init=1, random_state=0).fit(bins.means[:, None], sample_weight=bins.counts)
    found = _maximise(bins, (start.labels_ == 0).astype(np.float64))
    before = -math.inf
    for _ in range(MOST_STEPS):
        logs = found.log_parts(bins.means)
        likelihood = np.average(np.logaddexp(logs[:, 0], logs[:, 1]), weights=bins.counts)
        found = _maximise(bins, scipy.special.expit(logs[:, 0] - logs[:, 1]))
        if abs(likelihood - before) < TOLERANCE:
            return found
        before = likelihood
    return found._replace(converged=False)


def _maximise(bins: Bins, first: np.ndarray) -> Components:
    """Return the components in which the values of each bin belong to the first one by the share `first` [B]."""
    shares = np.stack([first, 1 - first]) * bins.counts  # [2, B]
    sizes = shares.sum(axis=1) + GUARD
    means = shares @ bins.means / sizes
    spreads = (shares * ((bins.means - means[:, None]) ** 2 + bins.variances)).sum(axis=1) / sizes
    return Components(means, spreads + REGULARISATION, sizes / sizes.sum())
