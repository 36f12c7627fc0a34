"""Samples and attention rows made from their number alone: every process makes the same."""

from __future__ import annotations

import numpy as np

from bye_core.records import AttentionRows, Grid, Sample, Turn
from bye_core.runs import Run, RunSettings

LAYERS, HEADS = 3, 2


def make_settings(**changes) -> RunSettings:
    facts = {"model": "m", "model_digest": "d1", "data": "data.json", "data_digest": "d2", "batch_size": 4}
    return RunSettings(**{**facts, **changes})


def make_samples(count: int) -> list[Sample]:
    return [
        Sample(f"s{n}", n, (Turn("user", (0, f"what is {n}?")), Turn("assistant", (f"it is {n}",))), (f"{n}.png",))
        for n in range(count)
    ]


def make_rows(number: int, layers: int = LAYERS, heads: int = HEADS) -> AttentionRows:
    rng = np.random.default_rng(number)
    tokens = 4 + number % 3
    return AttentionRows(
        id=f"s{number}",
        entropy=rng.random((layers, heads)).astype(np.float32),
        peak=rng.random((layers, heads)).astype(np.float32),
        mass=rng.random((layers, heads, 3)).astype(np.float32),
        layer_entropy=rng.random(layers).astype(np.float32),
        layer_entropy_reference=rng.random(layers).astype(np.float32),
        rows=rng.random((layers, tokens)).astype(np.float16),
        grids=(Grid(0, 1, tokens, 0, (0.0, -0.125, 1.0, 1.1)),),
        token=number,
        token_text=f"t{number}",
        probability=float(rng.random()),
    )


def make_run(path, count: int = 10, scored: int = 0) -> Run:
    run = Run.create(path, make_settings(), make_samples(count))
    scan(run, 0, scored)
    return run


def scan(run: Run, start: int, stop: int, batch: int = 4, shard_bytes: int = 1 << 30) -> None:
    """Append what is missing of start..stop, in batches cut from the data set's order."""
    with run.writing(shard_bytes):
        scored = run.scored_ids()
        for first in range(start, stop, batch):
            rows = [make_rows(number) for number in range(first, min(first + batch, stop))]
            if any(one.id not in scored for one in rows):
                run.append(rows)
