"""TCAP as described in arXiv 2601.21692: heads vote if their attention on the system tokens has a minority mode.

This is not the authors' code. The description leaves several values open, which are settings here: how many heads vote
and from which layers, the threshold of a vote, the largest weight of a minority component, and epsilon. The start of
the EM is open too, and our choice.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from bye_core.detect.dawid_skene import dawid_skene
from bye_core.detect.detector import Detector, layers_with_numbers, required
from bye_core.detect.mixture import THREADS
from bye_core.detect.result import by_layer, named_heads, nothing, result
from bye_core.detect.settings import check_settings, setting, share_setting
from bye_core.records import SYSTEM, Detection, ScanTable

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

MOST_COMPONENTS = 5
# Number of points for integrating the overlap of the two groups over the unit interval and 4 deviations beyond it.
POINTS = 2001


@dataclass(frozen=True)
class TcapSettings:
    """Settings of TCAP; all default values are ours. In the paper, heads is H_sens, depth L_sens, vote tau_vote."""

    heads: int = setting(8, "number of heads that vote: those with the largest separation", "Voting heads", low=1)
    depth: float = share_setting(
        0.5, "heads are chosen from this share of the layers, counted from the last layer", "Layers", above=0
    )
    vote: float = share_setting(
        0.5, "a head votes for a sample from this posterior of the minority group on", "Vote threshold"
    )
    weight: float = share_setting(
        0.35, "largest weight of a mixture component in the minority", "Largest weight", below=0.5
    )
    epsilon: float = setting(1e-6, "constant added to the overlap in the separation", above=0)

    def __post_init__(self) -> None:
        check_settings(self)


class Head(NamedTuple):
    """How one head splits the samples.

    The fields are its place (layer, head), the posterior of the minority group [N], and the separation of the groups.
    """

    place: tuple[int, int]
    posterior: np.ndarray
    separation: float


def tcap(table: ScanTable, settings: TcapSettings) -> Detection:
    """Flag the samples that the consensus of the voting heads assigns to the minority group (p > 0.5).

    values [N] and scores [N] are the posterior of the consensus.
    """
    mass = required(table.mass)
    count, width = mass.shape[0], mass.shape[2]
    layers = layers_with_numbers(mass).tolist()
    layers = layers[-max(1, round(settings.depth * len(layers))) :]
    places = [(layer, head) for layer in layers for head in range(width)]
    splits = [split_head(mass[:, layer, head, SYSTEM], (layer, head), settings) for layer, head in places]
    voting = sorted((head for head in splits if head), key=lambda head: -head.separation)[: settings.heads]
    if not voting:
        where = f"layers {layers[0]} to {layers[-1]}"
        reason = f"No head of {where} has a minority mode in its attention on the system tokens."
        return nothing("tcap", settings, table, [reason])
    votes = np.stack([head.posterior > settings.vote for head in voting], axis=1)
    posterior = dawid_skene(votes).posterior
    flagged = posterior > 0.5
    heads = [head.place for head in voting]
    reasons = [
        f"{len(heads)} heads vote, because their attention on the system tokens has a minority mode: "
        f"{named_heads(heads)}.",
        f"Their consensus is above 0.5 for {int(flagged.sum()):,} of {count:,} samples.",
    ]
    return result("tcap", settings, table, flagged, posterior, reasons, posterior, by_layer(heads), 0.5)


def split_head(alpha: np.ndarray, place: tuple[int, int], settings: TcapSettings) -> Head | None:
    """Split the attention on the system tokens [N] into a minority and a majority; None if there is only one group."""
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
    """Return the mixture with the lowest AIC.

    The values are sorted, because the start of the fit depends on their order.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    column = np.sort(values)[:, None]
    with threadpool_limits(THREADS), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [GaussianMixture(k, random_state=0).fit(column) for k in range(1, MOST_COMPONENTS + 1)]
        return min(models, key=lambda model: model.aic(column))


def minority_group(weights: np.ndarray, most: float) -> np.ndarray:
    """Return which components [K] form the minority [K] bool.

    The minority is the lightest components, each of weight up to `most`, together below 0.5.
    """
    minority = np.zeros(len(weights), bool)
    for component in np.argsort(weights, kind="stable"):
        if weights[component] > most or weights[minority].sum() + weights[component] >= 0.5:
            break
        minority[component] = True
    return minority


def separation(model: GaussianMixture, minority: np.ndarray, epsilon: float) -> float:
    """Return 1 / (overlap + epsilon), where the overlap is that of the weighted densities of both groups."""
    stds = np.sqrt(model.covariances_.ravel())
    means, reach = model.means_.ravel(), 4 * stds.max()
    # An even grid, plus more points around narrow components.
    around = (means[:, None] + stds[:, None] * np.linspace(-4, 4, 81)).ravel()
    x = np.unique(np.concatenate([np.linspace(-reach, 1 + reach, POINTS), around]))
    densities = model.weights_ * scipy.stats.norm.pdf(x[:, None], means, stds)
    overlap = np.minimum(densities[:, minority].sum(axis=1), densities[:, ~minority].sum(axis=1))
    return 1 / (float(scipy.integrate.trapezoid(overlap, x)) + epsilon)


DETECTOR = Detector(
    "tcap",
    "TCAP as described",
    tcap,
    TcapSettings,
    "consensus of the heads",
    needs=("mass",),
    misses="It sees only triggers that change how heads divide attention between system prompt, image and question.",
)
