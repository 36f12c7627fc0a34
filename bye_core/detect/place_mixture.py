"""Tells by two normal distributions of places which samples have the attention of a group.

A place is the attention of a sample between ordinary samples (0) and the group (1); see `prediction`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

LEAST = 5  # smallest group that is fitted (ours)
# The places of ordinary samples spread at least 0.1, those of the group at least 0.15, around a centre of at least 0.6,
# where 0 is the median ordinary sample and 1 the median of the group (ours).
SPREAD, GROUP_SPREAD, GROUP_CENTRE = 0.1, 0.15, 0.6
SEPARATE = 0.9  # AUC below which two distributions of places overlap too much to tell who belongs to which (ours)
UPDATES = 50  # of the expectation-maximisation; it settles in about ten


class PlaceMixture(NamedTuple):
    """Two normal distributions of places: of ordinary samples and of the group, with the group's share."""

    centre: float
    spread: float
    group_centre: float
    group_spread: float
    share: float

    @property
    def auc(self) -> float:
        """Probability that a member of the group has a larger place than an ordinary sample."""
        width = np.hypot(self.spread, self.group_spread)
        return float(scipy.stats.norm.cdf((self.group_centre - self.centre) / width))

    def posterior(self, places: np.ndarray) -> np.ndarray:
        """Return the probability [n] that a candidate is a member; it does not fall beyond the two centres."""
        between = np.clip(places, self.centre, self.group_centre)
        group = scipy.stats.norm.logpdf(between, self.group_centre, self.group_spread) + np.log(self.share)
        other = scipy.stats.norm.logpdf(between, self.centre, self.spread) + np.log1p(-self.share)
        return scipy.special.expit(group - other)


UNKNOWN = PlaceMixture(0.0, SPREAD, 1.0, GROUP_SPREAD, 0.5)  # before any place is known


def mixture_of_candidates(candidates: np.ndarray, ordinary: np.ndarray) -> PlaceMixture:
    """Fit the group's distribution to the places of the candidates, of which some are ordinary samples."""
    centre, spread = float(np.median(ordinary)), max(float(ordinary.std()), SPREAD)
    model = PlaceMixture(centre, spread, 1.0, 0.25, 0.5)
    for _ in range(UPDATES):
        chance = model.posterior(candidates)
        if chance.sum() < LEAST:
            break
        middle = max(GROUP_CENTRE, float(np.average(candidates, weights=chance)))
        width = float(np.sqrt(np.average((candidates - middle) ** 2, weights=chance)))
        share = float(np.clip(chance.mean(), 0.01, 0.99))
        model = PlaceMixture(centre, spread, middle, max(width, GROUP_SPREAD), share)
    return model


def mixture_with_group(places: np.ndarray, group: np.ndarray) -> PlaceMixture:
    """Fit the distributions to `places` [n], of which some are of ordinary samples and some of a known group.

    group [m]: places of known members
    """
    lower = np.sort(places)[: (len(places) + 1) // 2]
    model = PlaceMixture(float(np.median(lower)), SPREAD, float(group.mean()), max(group.std(), GROUP_SPREAD), 0.1)
    for _ in range(UPDATES):
        chance = model.posterior(places)
        ordinary = places[chance < 0.5]
        centre = float(np.median(ordinary)) if len(ordinary) else model.centre
        spread = max(1.4826 * float(np.median(np.abs(ordinary - centre))) if len(ordinary) else 0.0, SPREAD)
        model = model._replace(centre=centre, spread=spread, share=float(np.clip(chance.mean(), 0.005, 0.99)))
    return model
