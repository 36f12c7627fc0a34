"""The statistics of all scored samples stacked, and kept in a derived file so that reopening is instant.

The file only saves time: it is written anew from the shards whenever it is missing, stale or unreadable.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bye_core.files import write_atomic
from bye_core.records import AttentionRows, Sample, ScanTable
from bye_core.runs.index import Entry
from bye_core.runs.payload import OPTIONAL, STATISTICS

DTYPES = {**dict.fromkeys(STATISTICS, np.float32), "token": np.int64, "probability": np.float64}
# Left out where no sample has them.
MAYBE = {"hidden": np.float16, **dict.fromkeys(OPTIONAL, np.float64)}
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
    pairs = list(zip(kept, sources, strict=True))
    columns = {name: _column(name, dtype, stack, fresh, pairs) for name, dtype in {**DTYPES, **MAYBE}.items()}
    arrays = {name: column for name, column in columns.items() if column is not None}
    positions, batches = zip(*((entry.position, entry.batch) for entry in kept), strict=True)
    return Stack(np.array(positions, np.int64), np.array(batches, np.int64), arrays)


def _column(
    name: str,
    dtype: type,
    stack: Stack,
    fresh: Mapping[Entry, Mapping[str, np.ndarray]],
    pairs: Sequence[tuple[Entry, int | None]],
) -> np.ndarray | None:
    """One array of the new stack, NaN in the samples that lack it; None where all do."""
    shapes = (statistics[name].shape for statistics in fresh.values() if name in statistics)
    old = stack.arrays.get(name) if len(stack.positions) else None
    shape = next(shapes, None if old is None else old.shape[1:])
    if shape is None:
        return None
    column = np.full((len(pairs), *shape), np.nan if name in MAYBE else 0, dtype)
    for row, (entry, source) in enumerate(pairs):
        if source is None:
            column[row] = fresh[entry].get(name, np.nan)
        elif old is not None:
            column[row] = old[source]
    return column


def _statistics(rows: AttentionRows) -> dict[str, np.ndarray]:
    known = {name: dtype for name, dtype in MAYBE.items() if getattr(rows, name) is not None}
    return {name: np.asarray(getattr(rows, name), dtype) for name, dtype in {**DTYPES, **known}.items()}


def load_stack(path: Path) -> Stack | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            names = [*DTYPES, *(name for name in MAYBE if name in file.files)]
            arrays = {name: file[name] for name in names}
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
