"""Estimates with confidence intervals: a proportion (Wilson) and a mean (bootstrap). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

CONFIDENCE = 0.95
# Ours: enough resamples for two digits of the bounds; the seed makes them repeatable.
RESAMPLES, SEED = 2000, 0


@dataclass(frozen=True)
class Estimate:
    """A value measured on `samples` samples, with the bounds of its confidence interval at level CONFIDENCE."""

    value: float
    low: float
    high: float
    samples: int


def proportion(hits: Iterable[bool]) -> Estimate | None:
    """Return the share of hits with its Wilson interval, or None without samples."""
    hits = list(hits)
    if not hits:
        return None
    interval = scipy.stats.binomtest(sum(hits), len(hits)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(sum(hits) / len(hits), float(interval.low), float(interval.high), len(hits))


def mean(scores: Sequence[float]) -> Estimate | None:
    """Return the mean of the scores with its percentile bootstrap interval, or None without samples."""
    values = np.asarray(scores, float)
    if not len(values):
        return None
    low = high = value = float(values.mean())
    if np.ptp(values) > 0:
        result = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=RESAMPLES, batch=100, confidence_level=CONFIDENCE, method="percentile",
            rng=np.random.default_rng(SEED),
        )  # fmt: skip
        low, high = map(float, result.confidence_interval)
    return Estimate(value, low, high, len(values))


def as_facts(name: str, estimate: Estimate | None) -> dict[str, Any]:
    """Return an estimate as JSON fields NAME, NAME_interval and NAME_samples; None, None and 0 without an estimate."""
    if estimate is None:
        return {name: None, f"{name}_interval": None, f"{name}_samples": 0}
    interval = [estimate.low, estimate.high]
    return {name: estimate.value, f"{name}_interval": interval, f"{name}_samples": estimate.samples}
