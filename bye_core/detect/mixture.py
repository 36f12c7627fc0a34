"""Fits a mixture of two Gaussians to values, and measures how far apart they are (BYE, Eq. 6-7)."""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bye_core.detect import binned_mixture
from bye_core.records import Mixture

COMPONENTS = 2
NOT_CONVERGED = "the fit did not converge"

# The data has one column, so a second thread only waits; with a busy core this is 20 times slower (measured). Also, the
# last digits of sums over several threads depend on the number of cores.
THREADS = 1


# Number of fits in memory, a few hundred bytes each: enough for dozens of scans with every layer and variant.
REMEMBERED = 8192


@dataclass(frozen=True)
class Fit:
    """A mixture fitted to N values, and which values belong to its low component.

    low        [N] bool, by `GaussianMixture.predict`; all False if there is no mixture
    posterior  [N] probability of the low component. If the spreads are unequal, the wider component wins on both far
               sides, so the posterior does not always fall as the value rises.
    note       why there is no mixture, or what is wrong with it
    """

    mixture: Mixture | None
    low: np.ndarray
    posterior: np.ndarray
    note: str = ""


def fit(values: np.ndarray, in_order: bool = False) -> Fit:
    """Fit finite `values` [N] as the authors do: GaussianMixture(n_components=2, random_state=0).

    All other parameters are scikit-learn's defaults; reg_covar = 1e-6 keeps every standard deviation above 1e-3 nats.
    The start of the fit depends on the order of the samples. Departure: the values are sorted first, so that a set
    gives the same result in any order. With `in_order`, the values are not sorted, as in the authors' code. From
    BINNED_FROM values on, the fit sees a histogram of them, see bye_core.detect.binned_mixture.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    nobody = (np.zeros(len(values), bool), np.zeros(len(values)))
    if len(values) < COMPONENTS:
        return Fit(None, *nobody, note=f"{len(values)} samples are too few for two components")
    if np.ptp(values) == 0:
        return Fit(None, *nobody, note="all values are equal")
    if len(values) >= binned_mixture.BINNED_FROM:
        return _binned_fit(values)
    order = np.arange(len(values)) if in_order else np.argsort(values, kind="stable")
    column = values[order].reshape(-1, 1)
    model = GaussianMixture(n_components=COMPONENTS, random_state=0)
    with threadpool_limits(THREADS), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the note says so instead
        model.fit(column)
    means, stds = model.means_.ravel(), np.sqrt(model.covariances_.ravel())
    low, high = np.argsort(means, kind="stable")
    pairs = [(float(array[low]), float(array[high])) for array in (means, stds, model.weights_)]
    belongs, posterior = np.empty(len(values), bool), np.empty(len(values))
    belongs[order] = model.predict(column) == low
    posterior[order] = model.predict_proba(column)[:, low]
    return Fit(Mixture(*pairs), belongs, posterior, "" if model.converged_ else NOT_CONVERGED)


def _binned_fit(values: np.ndarray) -> Fit:
    with threadpool_limits(THREADS):
        found = binned_mixture.fit_bins(binned_mixture.count_bins(values))
    low, high = np.argsort(found.means, kind="stable")
    stds = np.sqrt(found.variances)
    pairs = [(float(array[low]), float(array[high])) for array in (found.means, stds, found.weights)]
    posterior = found.share_of_first(values)
    if low == 1:
        posterior = 1 - posterior
    return Fit(Mixture(*pairs), posterior > 0.5, posterior, "" if found.converged else NOT_CONVERGED)


class Modes(NamedTuple):
    """The part of a Fit whose size does not depend on the number of samples."""

    mixture: Mixture | None
    note: str


_known: dict[tuple[bytes, bool], Modes] = {}
_lock = Lock()


def modes(values: np.ndarray, in_order: bool = False) -> Modes:
    """Return `fit(values, in_order)` without its arrays. The results are cached, so equal values are fitted only once.

    A change of tau or of the cut-off does not change the values of a layer. Fitting 32 layers of 10,000 samples takes a
    second.
    """
    key = (hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).digest(), in_order)
    with _lock:
        result = _known.get(key)
    if result is None:
        fitted = fit(values, in_order)
        result = Modes(fitted.mixture, fitted.note)
        with _lock:
            while len(_known) >= REMEMBERED:
                del _known[next(iter(_known))]
            _known[key] = result
    return result


def bsi_paper(m: Mixture) -> float:
    """Return the bimodal separation index (Eq. 7): |mu1 - mu2| / sqrt(s1^2 + s2^2)."""
    return _ratio(abs(m.means[0] - m.means[1]), math.hypot(*m.stds))


def bsi_reference(m: Mixture) -> float:
    """Return |mu1 - mu2| / (s1 + s2). The authors' code requires this value to be > tau."""
    return _ratio(abs(m.means[0] - m.means[1]), sum(m.stds))


def kl_low_high(m: Mixture) -> float:
    """Return the divergence KL(low || high) of the two Gaussians in nats, as the authors' code records it."""
    (mu1, mu2), (s1, s2) = m.means, m.stds
    if min(s1, s2) == 0:
        return math.nan
    return math.log(s2 / s1) + (s1**2 + (mu1 - mu2) ** 2) / (2 * s2**2) - 0.5


def crossing(m: Mixture) -> float | None:
    """Return the value between the means at which both components are equally likely; None if there is none."""
    (mu1, mu2), (s1, s2), (w1, w2) = m.means, m.stds, m.weights
    if min(s1, s2, w1, w2) <= 0:
        return None
    # ln(w1 N1(x)) = ln(w2 N2(x)) as a t^2 + b t + c = 0, where t runs from mu1 (0) to mu2 (1), which keeps c exact.
    gap = mu2 - mu1
    a = gap**2 * (1 / s2**2 - 1 / s1**2) / 2
    b = -(gap**2) / s2**2
    c = gap**2 / (2 * s2**2) + math.log(w1 * s2 / (w2 * s1))
    # Terms below the rounding error change nothing between 0 and 1, but their roots would overflow.
    largest = max(abs(a), abs(b), abs(c))
    terms = [0.0 if abs(term) < 1e-15 * largest else term for term in (a, b, c)]
    roots = [mu1 + gap * root.real for root in np.roots(terms) if root.imag == 0 and 0 <= root.real <= 1]
    return float(roots[0]) if len(roots) == 1 else None


def _ratio(distance: float, spread: float) -> float:
    """Return distance / spread.

    If the spread is 0 (only in hand-written mixtures), the ratio of different means is inf.
    """
    if spread == 0:
        return math.inf if distance else 0.0
    return distance / spread
