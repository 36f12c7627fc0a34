"""Estimates the true classes from the votes of judges with unknown, unequal quality.

Source: Dawid and Skene 1979, for two classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

# One vote of each kind is added (Laplace), so that a judge without observed errors does not count as infallible.
SMOOTHING = 1.0


class Consensus(NamedTuple):
    """The estimate for N samples and J judges.

    posterior    [N] probability of class 1
    hit          [J] P(vote | class 1) of each judge
    false_alarm  [J] P(vote | class 0) of each judge
    """

    posterior: np.ndarray
    hit: np.ndarray
    false_alarm: np.ndarray


def dawid_skene(votes: np.ndarray, rounds: int = 200, tolerance: float = 1e-6) -> Consensus:
    """Return the consensus of votes [N, J] bool, by expectation maximisation.

    The start value of each sample is its share of votes. So class 1 is the class that most judges vote for, and the two
    classes cannot be swapped.
    """
    votes = np.asarray(votes, np.float64)
    posterior = votes.mean(axis=1)
    for _ in range(rounds):
        hit = (posterior @ votes + SMOOTHING) / (posterior.sum() + 2 * SMOOTHING)
        false_alarm = ((1 - posterior) @ votes + SMOOTHING) / ((1 - posterior).sum() + 2 * SMOOTHING)
        prior = (posterior.sum() + SMOOTHING) / (len(votes) + 2 * SMOOTHING)
        weight = votes @ (np.log(hit) - np.log(false_alarm))
        weight += (1 - votes) @ (np.log1p(-hit) - np.log1p(-false_alarm))
        updated = scipy.special.expit(scipy.special.logit(prior) + weight)
        moved, posterior = np.abs(updated - posterior).max(initial=0), updated
        if moved < tolerance:
            break
    return Consensus(posterior, hit, false_alarm)
