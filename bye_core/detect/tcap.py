"""TCAP as described (METHOD, section 2): heads whose attention on the system tokens has a minority mode vote.

Never the authors' code. What the description leaves open is chosen here and stated in the settings: how many heads and
layers, the vote's threshold, the weight from which a component is no minority, epsilon, and the start of the EM.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from bye_core.detect.dawid_skene import dawid_skene
from bye_core.detect.mixture import THREADS
from bye_core.detect.result import by_layer, named_heads, nothing, result
from bye_core.detect.setting_checks import is_index, is_number, is_share, require
from bye_core.records import SYSTEM, Detection, ScanTable

MOST_COMPONENTS = 5
# Points on which the overlap of the two groups is integrated, over the unit interval and 4 deviations beyond.
POINTS = 2001


@dataclass(frozen=True)
class TcapSettings:
    """heads    H_sens, the most separated heads that vote (ours: 8)
    depth    L_sens, as the share of the last layers among which they are chosen (ours: the later half)
    vote     tau_vote, the posterior of the minority group from which a head votes for a sample (ours: 0.5)
    weight   a mixture component up to this weight may belong to the minority group (ours: 0.35)
    epsilon  of the separation score (ours: 1e-6)
    """

    heads: int = 8
    depth: float = 0.5
    vote: float = 0.5
    weight: float = 0.35
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        require(is_index(self.heads) and self.heads > 0, "heads", self.heads, "a whole number from 1 up")
        require(is_share(self.depth) and self.depth > 0, "depth", self.depth, "a share above 0, up to 1")
        require(is_share(self.vote), "vote", self.vote, "a number from 0 to 1")
        holds = is_share(self.weight) and self.weight < 0.5
        require(holds, "weight", self.weight, "a number from 0 to below 0.5")
        require(is_number(self.epsilon) and self.epsilon > 0, "epsilon", self.epsilon, "a number above 0")


class Head(NamedTuple):
    """One head's split: posterior of the minority group [N], and the separation score."""

    place: tuple[int, int]
    posterior: np.ndarray
    separation: float


def tcap(table: ScanTable, settings: TcapSettings) -> Detection:
    """Flag the samples that the consensus of the voting heads puts into the minority (p > 0.5).

    values and scores [N] are the consensus' posterior.
    """
    count, layers, width = table.mass.shape[:3]
    first = layers - max(1, round(settings.depth * layers))
    places = [(layer, head) for layer in range(first, layers) for head in range(width)]
    found = [split_head(table.mass[:, layer, head, SYSTEM], (layer, head), settings) for layer, head in places]
    voting = sorted((one for one in found if one), key=lambda one: -one.separation)[: settings.heads]
    if not voting:
        reason = f"No head of layers {first} to {layers - 1} has a minority mode in its attention on the system tokens."
        return nothing("tcap", settings, table, [reason])
    votes = np.stack([head.posterior > settings.vote for head in voting], axis=1)
    posterior = dawid_skene(votes).posterior
    flagged = posterior > 0.5
    heads = [head.place for head in voting]
    reasons = [
        f"{len(heads)} heads vote by a minority mode of their attention on the system tokens: {named_heads(heads)}.",
        f"Their consensus is above 0.5 for {int(flagged.sum())} of {count} samples.",
    ]
    return result("tcap", settings, table, flagged, posterior, reasons, posterior, by_layer(heads), 0.5)


def split_head(alpha: np.ndarray, place: tuple[int, int], settings: TcapSettings) -> Head | None:
    """Attention on the system tokens [N] -> minority and majority modes; None where there is one group only."""
    values = np.asarray(alpha, np.float64)
    if len(values) < 2 * MOST_COMPONENTS or not np.isfinite(values).all() or np.ptp(values) == 0:
        return None
    values = (values - values.min()) / np.ptp(values)
    model = _mixture(values)
    minority = minority_group(model.weights_, settings.weight)
    if not minority.any():
        return None
    posterior = model.predict_proba(values[:, None])[:, minority].sum(axis=1)
    return Head(place, posterior, separation(model, minority, settings.epsilon))


def _mixture(values: np.ndarray) -> GaussianMixture:
    """The mixture with the lowest AIC; the start depends on the order of the samples, so they are sorted."""
    column = np.sort(values)[:, None]
    with threadpool_limits(THREADS), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [GaussianMixture(k, random_state=0).fit(column) for k in range(1, MOST_COMPONENTS + 1)]
        return min(models, key=lambda model: model.aic(column))


def minority_group(weights: np.ndarray, most: float) -> np.ndarray:
    """Which components [K] form the minority: the lightest, up to `most` each, while together below one half."""
    minority = np.zeros(len(weights), bool)
    for component in np.argsort(weights, kind="stable"):
        if weights[component] > most or weights[minority].sum() + weights[component] >= 0.5:
            break
        minority[component] = True
    return minority


def separation(model: GaussianMixture, minority: np.ndarray, epsilon: float) -> float:
    """1 / (overlap of the two groups' weighted densities + epsilon)."""
    stds = np.sqrt(model.covariances_.ravel())
    means, reach = model.means_.ravel(), 4 * stds.max()
    # Evenly, and densely around narrow components.
    around = (means[:, None] + stds[:, None] * np.linspace(-4, 4, 81)).ravel()
    x = np.unique(np.concatenate([np.linspace(-reach, 1 + reach, POINTS), around]))
    densities = model.weights_ * norm.pdf(x[:, None], means, stds)
    overlap = np.minimum(densities[:, minority].sum(axis=1), densities[:, ~minority].sum(axis=1))
    return 1 / (float(trapezoid(overlap, x)) + epsilon)
