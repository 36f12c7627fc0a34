"""The statistics of all scored samples stacked, and kept in a derived file so that reopening is instant.

The file only saves time: it is written anew from the shards whenever it is missing, stale or unreadable.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bye_core.files import write_atomic
from bye_core.records import AttentionRows, Sample, ScanTable
from bye_core.runs.index import Entry
from bye_core.runs.payload import STATISTICS

DTYPES = {**dict.fromkeys(STATISTICS, np.float32), "token": np.int64, "probability": np.float64}
AXES = {"layer_entropy": 2, "layer_entropy_reference": 2, "entropy": 3, "peak": 3, "mass": 4}

ReadEntries = Callable[[Sequence[Entry]], Iterator[tuple[Entry, AttentionRows]]]


class Stack(NamedTuple):
    """Positions in the run's list and commit numbers [N], and the arrays of a ScanTable."""

    positions: np.ndarray
    batches: np.ndarray
    arrays: dict[str, np.ndarray]


def empty_stack() -> Stack:
    arrays = {name: np.empty((0,) * AXES.get(name, 1), dtype) for name, dtype in DTYPES.items()}
    return Stack(np.empty(0, np.int64), np.empty(0, np.int64), arrays)


def is_current(stack: Stack, entries: Sequence[Entry]) -> bool:
    keys = list(zip(stack.positions.tolist(), stack.batches.tolist(), strict=True))
    return keys == [(entry.position, entry.batch) for entry in entries]


def refresh(stack: Stack, entries: Sequence[Entry], read: ReadEntries) -> Stack:
    """The stack of `entries`: rows that `stack` has are taken over, the others read. Unreadable ones are left out."""
    keys = zip(stack.positions.tolist(), stack.batches.tolist(), strict=True)
    old = {key: row for row, key in enumerate(keys)}
    missing = [entry for entry in entries if (entry.position, entry.batch) not in old]
    fresh = {entry: _statistics(rows) for entry, rows in read(missing)}
    kept = [entry for entry in entries if (entry.position, entry.batch) in old or entry in fresh]
    if not kept:
        return empty_stack()
    sources = [old.get((entry.position, entry.batch)) for entry in kept]
    arrays = {}
    for name, dtype in DTYPES.items():
        inner = next(iter(fresh.values()))[name].shape if fresh else stack.arrays[name].shape[1:]
        arrays[name] = np.empty((len(kept), *inner), dtype)
        for row, (entry, source) in enumerate(zip(kept, sources, strict=True)):
            arrays[name][row] = fresh[entry][name] if source is None else stack.arrays[name][source]
    positions, batches = zip(*((entry.position, entry.batch) for entry in kept), strict=True)
    return Stack(np.array(positions, np.int64), np.array(batches, np.int64), arrays)


def _statistics(rows: AttentionRows) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(rows, name), dtype) for name, dtype in DTYPES.items()}


def load_stack(path: Path) -> Stack | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in DTYPES}
            return Stack(file["positions"], file["batches"], arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # Derived: an unreadable file is worth no more than a missing one.


def save_stack(path: Path, stack: Stack) -> None:
    content = io.BytesIO()
    np.savez(content, positions=stack.positions, batches=stack.batches, **stack.arrays)
    try:
        write_atomic(path, content.getvalue())
    except OSError:
        return  # A full disk or a read-only run costs the next reader some seconds, nothing else.


def as_table(stack: Stack, samples: Sequence[Sample]) -> ScanTable:
    """Shared by all who ask for it, hence read-only."""
    for array in stack.arrays.values():
        array.setflags(write=False)
    scored = [samples[position] for position in stack.positions]
    return ScanTable(
        ids=tuple(sample.id for sample in scored),
        questions=tuple(sample.question for sample in scored),
        answers=tuple(sample.answer for sample in scored),
        **stack.arrays,
    )
