"""Estimates the truth behind votes of judges with unknown, unequal quality (Dawid and Skene 1979, two classes)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

# One vote of each kind is added, so that a judge without errors in the sample does not count as infallible (Laplace).
SMOOTHING = 1.0


class Consensus(NamedTuple):
    """posterior [N] of class 1; hit [J] = P(vote | class 1) and false_alarm [J] = P(vote | class 0) of each judge."""

    posterior: np.ndarray
    hit: np.ndarray
    false_alarm: np.ndarray


def dawid_skene(votes: np.ndarray, rounds: int = 200, tolerance: float = 1e-6) -> Consensus:
    """Return the consensus of votes [N, J] bool, by expectation maximisation.

    It starts from each sample's share of votes. So class 1 is what most judges vote for, and the labels cannot swap.
    """
    votes = np.asarray(votes, np.float64)
    posterior = votes.mean(axis=1)
    for _ in range(rounds):
        hit = (posterior @ votes + SMOOTHING) / (posterior.sum() + 2 * SMOOTHING)
        false_alarm = ((1 - posterior) @ votes + SMOOTHING) / ((1 - posterior).sum() + 2 * SMOOTHING)
        prior = (posterior.sum() + SMOOTHING) / (len(votes) + 2 * SMOOTHING)
        weight = votes @ (np.log(hit) - np.log(false_alarm))
        weight += (1 - votes) @ (np.log1p(-hit) - np.log1p(-false_alarm))
        updated = expit(logit(prior) + weight)
        moved, posterior = np.abs(updated - posterior).max(initial=0), updated
        if moved < tolerance:
            break
    return Consensus(posterior, hit, false_alarm)
