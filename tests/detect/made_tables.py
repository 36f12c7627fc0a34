"""Entropy tables whose answer is known from how they are made."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from bye_core.records import ScanTable


def make_table(entropies, ids=None) -> ScanTable:
    array = np.array(entropies, np.float64)
    ids = ids or tuple(f"s{n}" for n in range(len(array)))
    return ScanTable(tuple(ids), array, array.copy())


def column(count: int, mean: float, std: float) -> np.ndarray:
    """`count` values that have exactly this mean and (population) standard deviation: half a step each side."""
    values = np.where(np.arange(count) % 2 == 0, mean - std, mean + std)
    assert count % 2 == 0
    return values


def two_modes(low: int, high: int, low_mean: float, high_mean: float, std: float, high_std=None) -> np.ndarray:
    """[low + high] values; the first `low` of them are the low mode."""
    return np.concatenate([column(low, low_mean, std), column(high, high_mean, high_std or std)])


def one_mode(count: int, mean: float = 4.0, std: float = 0.1, seed: int = 0) -> np.ndarray:
    """Quantiles of a Gaussian, shuffled: no two modes to be found."""
    values = mean + std * norm.ppf((np.arange(count) + 0.5) / count)
    return np.random.default_rng(seed).permutation(values)


def poisoned_table(clean: int = 90, poisoned: int = 10, layers: int = 5, sensitive=(1, 3)) -> ScanTable:
    """The first `poisoned` samples collapse in the `sensitive` layers only."""
    count = clean + poisoned
    array = np.stack([one_mode(count, seed=layer) for layer in range(layers)], axis=1)
    for layer in sensitive:
        array[:, layer] = two_modes(poisoned, clean, 1.5 + layer / 10, 4.0, 0.1)
    return make_table(array)


def full_table(count: int, layers: int = 4, heads: int = 3, seed: int = 0, **more) -> ScanTable:
    """A table with the attention of single heads, all of one mode; `more` goes before."""
    rng = np.random.default_rng(seed)
    shares = rng.normal(0, 0.1, (count, layers, heads, 3)) + np.log([0.3, 0.5, 0.2])
    mass = np.exp(shares) / np.exp(shares).sum(-1, keepdims=True)
    entropy = rng.normal(4.0, 0.1, (count, layers, heads))
    facts = {
        "ids": tuple(f"s{n}" for n in range(count)),
        "layer_entropy": entropy.mean(-1),
        "layer_entropy_reference": entropy.mean(-1),
        "entropy": entropy,
        "peak": rng.normal(0.1, 0.01, (count, layers, heads)),
        "mass": mass,
        "token": np.zeros(count, np.int64),
        "probability": rng.uniform(0.8, 1.0, count),
        "questions": ("what is it?",) * count,
        "answers": tuple(f"answer {n}" for n in range(count)),
    }
    return ScanTable(**{**facts, **more})
