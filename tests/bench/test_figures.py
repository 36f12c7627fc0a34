"""How long figures take for 10,000 samples of 32 layers x 32 heads, and how much travels to the page.

OMP_NUM_THREADS=1 python -m tests.bench.test_figures     prints the table
python -m pytest -m bench -s tests/bench                 asserts the bars
"""

from __future__ import annotations

import math
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bye_core import figures
from bye_core.detect import detect
from bye_core.records import AttentionRows, Decision, Detection, Grid, ScanTable

SAMPLES, LAYERS, HEADS, SIDE = 10_000, 32, 32, 24
RATE = 0.1
ROUNDS = 5

HEADS_BAR = 1.0  # seconds for every head's index, set by the project
FIGURE_BAR = 0.5  # seconds for any figure: half of what the app has for a re-clustering
SCATTER_BAR = 1_000_000  # bytes of JSON, set by the project
MEMORY_BAR = 100  # MiB beyond the table


def make_table(seed: int = 0) -> ScanTable:
    """Diffuse heads; the poisoned tenth lies lower in the middle third of the layers."""
    rng = np.random.default_rng(seed)
    entropy = rng.normal(4.8, 0.25, (SAMPLES, LAYERS, HEADS)).astype(np.float32)
    entropy[: int(RATE * SAMPLES), LAYERS // 3 : 2 * LAYERS // 3] -= 1.5
    mass = rng.random((SAMPLES, LAYERS, HEADS, 3), np.float32)
    layer_entropy = entropy.mean(axis=2) + rng.normal(0, 0.15, (SAMPLES, LAYERS)).astype(np.float32)
    ids = tuple(f"sample-{n:05d}" for n in range(SAMPLES))
    return ScanTable(ids, layer_entropy, layer_entropy, entropy=entropy, mass=mass)


def make_rows(seed: int = 0) -> AttentionRows:
    rows = np.random.default_rng(seed).random((LAYERS, SIDE * SIDE)).astype(np.float16)
    nothing = np.zeros((LAYERS, 1), np.float32)
    grids = (Grid(0, SIDE, SIDE, 0),)
    return AttentionRows("a", nothing, nothing, nothing, nothing, nothing, rows, grids, 0, "", 1.0)


def ways(table: ScanTable, detection: Detection) -> dict[str, Callable[[], Any]]:
    truth = np.arange(SAMPLES) < RATE * SAMPLES
    decisions = {id: Decision(id, "reject") for id in table.ids[:500]}
    decisions |= {id: Decision(id, "accept") for id in table.ids[5000:5500]}
    separation = figures.head_bsi(table.entropy)
    side = figures.suspicious_side(detection)
    rows, layer = make_rows(), detection.sensitive_layers[0]
    facts = [{"step": n, "steps": 2000, "loss": math.exp(-n / 500), "rate": 2e-4} for n in range(0, 2000, 5)]
    return {
        "bsi": lambda: figures.bsi_figure(detection.layers),
        "entropy": lambda: figures.entropy_figure(detection.layers, table.layer_entropy, side, SIDE * SIDE),
        "layer histogram": lambda: figures.layer_histogram(
            table.layer_entropy[:, layer], detection.layers[layer], side, truth=truth
        ),
        "final histogram": lambda: figures.final_histogram(detection),
        "heads: index": lambda: figures.head_bsi(table.entropy),
        "heads: figure": lambda: figures.heads_figure(separation, detection.sensitive_layers),
        "scatter": lambda: figures.scatter_figure(figures.score_points(table, detection), decisions),
        "scatter, no evidence": lambda: figures.scatter_figure(figures.score_points(table), decisions),
        "loss": lambda: figures.loss_figure(facts),
        "overlay payload": lambda: figures.overlay_payload(rows),
        "strip": lambda: figures.strip_uris(rows.rows, rows.grids),
    }


def measure() -> dict[str, tuple[float, int]]:
    """Median seconds, JSON included where it is a figure, and bytes of JSON."""
    table = make_table()
    answers = {}
    for name, way in ways(table, detect(table, "bye")).items():
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            made = way()
            text = figures.as_json(made) if hasattr(made, "to_json") else figures.theme.to_json_plotly(made)
            seconds.append(time.perf_counter() - start)
        answers[name] = statistics.median(seconds), len(text)
    return answers


@pytest.mark.bench
def test_figures_are_quick_and_small():
    found = measure()
    assert found["heads: index"][0] <= HEADS_BAR, found
    assert all(seconds <= FIGURE_BAR for name, (seconds, _) in found.items() if name != "heads: index"), found
    assert max(size for name, (_, size) in found.items() if name.startswith("scatter")) <= SCATTER_BAR, found


@pytest.mark.bench
@pytest.mark.parametrize("shape", ["gaussian", "heavy-tailed", "skewed"])
def test_heads_without_two_modes_take_no_longer(shape):
    rng = np.random.default_rng(0)
    size = (SAMPLES, LAYERS, HEADS)
    drawn = {
        "gaussian": lambda: rng.normal(4.6, 0.25, size),
        "heavy-tailed": lambda: 4.6 + 0.25 * rng.standard_t(5, size),
        "skewed": lambda: 5 - 0.2 * rng.gamma(2, 1, size),
    }[shape]().astype(np.float32)
    start = time.perf_counter()
    found = figures.head_bsi(drawn)
    assert time.perf_counter() - start <= HEADS_BAR
    assert found.max() < 2


@pytest.mark.bench
def test_the_heads_index_needs_little_memory():
    entropy = make_table().entropy
    tracemalloc.start()
    figures.head_bsi(entropy)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert peak <= MEMORY_BAR


def report() -> str:
    lines = [f"{SAMPLES:,} samples, {LAYERS} layers x {HEADS} heads; medians of {ROUNDS}, one thread"]
    lines += [f"{name:22s} {seconds:7.3f} s {size / 1000:9.1f} kB" for name, (seconds, size) in measure().items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(report() + "\n")
