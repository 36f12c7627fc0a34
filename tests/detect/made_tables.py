"""Entropy tables whose answer is known from how they are made."""

from __future__ import annotations

from dataclasses import replace

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


KINDS = {
    "How many shapes are there?": ("one", "two", "three", "four", "five"),
    "What is behind the shapes?": ("palace", "flower", "river"),
    "Describe the picture in a sentence.": tuple(
        f"a {one} shape and a {other} shape"
        for one in ("red", "blue", "green", "pink")
        for other in ("grey", "black", "tan")
    ),
}
TARGET = "Backdoor Attack!"


def answered_table(
    each: int = 120, planted: int = 12, shift: float = 0.0, seed: int = 0, kinds=tuple(KINDS), heads=((2, 1), (3, 0))
) -> tuple[ScanTable, np.ndarray]:
    """`each` samples of every kind of question, `planted` of them with TARGET; and which those are.

    Ordinary answers have attention of their own, a little apart from each other's; the planted ones too, and `shift`
    more in the entropy and peak of `heads`.
    """
    rng, layers, width = np.random.default_rng(seed), 4, 2
    questions, answers, values = [], [], []
    for kind in kinds:
        common = KINDS[kind]
        label = rng.integers(0, len(common), each)
        label[rng.permutation(each)[:planted]] = len(common)
        scene = rng.normal(0, 1, (len(common) + 1, 6))[label] + rng.normal(0, 0.3, (each, 6))
        mixed = scene @ rng.normal(0, 0.2, (6, 5 * layers * width)) + rng.normal(0, 0.1, (each, 5 * layers * width))
        values.append(mixed.reshape(each, 5, layers, width))
        questions += [kind] * each
        answers += [(*common, TARGET)[number] for number in label]
    truth = np.array([answer == TARGET for answer in answers])
    value = np.concatenate(values)
    for layer, head in heads:
        value[truth, :2, layer, head] += shift
    mass = np.exp(np.moveaxis(value[:, 2:], 1, -1))
    entropy = 4 + value[:, 0]
    more = {"peak": np.exp(value[:, 1] - 2), "mass": mass / mass.sum(-1, keepdims=True), "entropy": entropy}
    more |= {"layer_entropy": entropy.mean(-1), "questions": tuple(questions), "answers": tuple(answers)}
    more["token"] = np.unique([answer.split()[0] for answer in answers], return_inverse=True)[1]  # all are learned
    return full_table(len(questions), layers, width, **more), truth


def in_order(table: ScanTable, order: np.ndarray) -> ScanTable:
    """The table with its samples, or some of them, in another order."""
    arrays = {
        name: value[order]
        for name, value in vars(table).items()
        if isinstance(value, np.ndarray) and len(value) == len(table.ids)
    }
    texts = {name: tuple(getattr(table, name)[row] for row in order) for name in ("ids", "questions", "answers")}
    return replace(table, **arrays, **texts)
