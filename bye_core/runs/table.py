"""The statistics of all scored samples stacked, and kept in derived files so that reopening is instant.

Those of a million samples are more than fits into memory: from a size on they stay on disk, mapped, and only what is
looked at is read. The files only save time: they are made anew from the shards whenever they are missing, stale or
unreadable, and where they cannot be written the arrays are in memory, whatever their size.

statistics/NAME/   one state of the scan: a file of plain numbers for every array, facts.json once all of them are there
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from bye_core.files import write_atomic
from bye_core.records import AttentionRows, Sample, ScanTable
from bye_core.runs.index import Entry
from bye_core.runs.payload import OPTIONAL, STATISTICS

DTYPES = {**dict.fromkeys(STATISTICS, np.float32), "token": np.int64, "probability": np.float64}
# Left out where no sample has them.
MAYBE = {"hidden": np.float16, **dict.fromkeys(OPTIONAL, np.float64)}
AXES = {"layer_entropy": 2, "layer_entropy_reference": 2, "entropy": 3, "peak": 3, "mass": 4}
KEYS, FACTS = "keys.npy", "facts.json"
AT_ONCE = 1024  # samples that are copied at once
# Bytes of all arrays from which they are mapped. Smaller ones are read: what happens to the files then hurts nobody.
MAPPED_FROM = 2**30
ABANDONED = 86_400  # seconds after which half a state is taken for that of a process that was killed

ReadEntries = Callable[[Sequence[Entry]], Iterator[tuple[Entry, AttentionRows]]]


class Stack(NamedTuple):
    """Position in the run's list and commit number of each row, `keys` [N, 2], and the arrays of a ScanTable."""

    keys: np.ndarray
    arrays: dict[str, np.ndarray]


class _Shape(NamedTuple):
    """Of a stack that is written: its keys, and the axes of each array behind the first."""

    keys: np.ndarray
    widths: dict[str, tuple[int, ...]]


def empty_stack() -> Stack:
    arrays = {name: np.empty((0,) * AXES.get(name, 1), dtype) for name, dtype in DTYPES.items()}
    return Stack(np.empty((0, 2), np.int64), arrays)


def is_current(stack: Stack, entries: Sequence[Entry]) -> bool:
    return np.array_equal(stack.keys, _keys(entries))


def _keys(entries: Sequence[Entry]) -> np.ndarray:
    return np.array([(entry.position, entry.batch) for entry in entries], np.int64).reshape(-1, 2)


def refresh(folder: Path, stack: Stack, entries: Sequence[Entry], read: ReadEntries) -> Stack:
    """The stack of `entries`: rows that `stack` has are taken over, the others read. Unreadable ones are left out.

    It is kept in `folder` in place of older ones, if that can be written.
    """
    own = folder / secrets.token_hex(6)
    try:
        folder.mkdir(exist_ok=True)
        own.mkdir()
        made = _on_disk(own, _blocks(stack, entries, read))
        _clear(own)
    except (OSError, ValueError):
        # A full disk or a read-only run costs the next reader some seconds and this one memory, nothing else.
        shutil.rmtree(own, ignore_errors=True)
        return _in_memory(_blocks(stack, entries, read))
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise
    return made


def _clear(own: Path) -> None:
    """Remove the states beside `own` that are older; of two that end at once, the newer one stays."""
    made = (own / FACTS).stat().st_mtime_ns
    for other in own.parent.iterdir():
        try:
            whole = other / FACTS
            time_of, least = (whole, 0) if whole.is_file() else (other, ABANDONED * 10**9)
            if other != own and made - time_of.stat().st_mtime_ns > least:
                # Whoever has it open keeps it (Windows refuses then, and the next one tries again).
                shutil.rmtree(other, ignore_errors=True)
        except FileNotFoundError:
            continue  # another process was faster


def _blocks(stack: Stack, entries: Sequence[Entry], read: ReadEntries) -> Iterator[Stack]:
    """The new stack in parts, each with the arrays that some of its rows have."""
    old = {key: row for row, key in enumerate(map(tuple, stack.keys.tolist()))}
    for start in range(0, len(entries), AT_ONCE):
        some = entries[start : start + AT_ONCE]
        sources = {entry: old.get((entry.position, entry.batch)) for entry in some}
        fresh = {entry: _statistics(rows) for entry, rows in read([one for one in some if sources[one] is None])}
        kept = [entry for entry in some if entry in fresh or sources[entry] is not None]
        if not kept:
            continue
        known = np.array([sources[entry] is not None for entry in kept], bool)
        taken = [sources[entry] for entry in kept if sources[entry] is not None]
        arrays = {}
        for name, dtype in {**DTYPES, **MAYBE}.items():
            new = {entry: own[name] for entry, own in fresh.items() if name in own}
            before = stack.arrays[name][taken] if taken and name in stack.arrays else None
            if not new and before is None:
                continue
            shape = next(iter(new.values())).shape if new else before.shape[1:]
            arrays[name] = np.full((len(kept), *shape), np.nan if name in MAYBE else 0, dtype)
            if before is not None:
                arrays[name][known] = before
            for row in np.flatnonzero(~known).tolist():
                arrays[name][row] = new.get(kept[row], np.nan)
        yield Stack(_keys(kept), arrays)


def _gathered(blocks: Iterable[Stack], begin: Callable[[str], Callable[[np.ndarray], Any]]) -> _Shape:
    """Hand each array's rows, in order, to what `begin` gives for its name; NaN for samples that lack them."""
    keys, takers, widths = [np.empty((0, 2), np.int64)], {}, {}
    for block in blocks:
        for name, array in block.arrays.items():
            if name not in takers:
                takers[name], widths[name] = begin(name), array.shape[1:]
                for before in keys[1:]:
                    takers[name](_unknown(name, (len(before), *widths[name])))
        for name, take in takers.items():
            own = block.arrays.get(name)
            take(_unknown(name, (len(block.keys), *widths[name])) if own is None else own)
        keys.append(block.keys)
    return _Shape(np.concatenate(keys), widths)


def _unknown(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan, MAYBE[name])


def _in_memory(blocks: Iterable[Stack]) -> Stack:
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    keys, _ = _gathered(blocks, lambda name: parts[name].append)
    return Stack(keys, {name: np.concatenate(parts.pop(name)) for name in list(parts)}) if len(keys) else empty_stack()


def _on_disk(folder: Path, blocks: Iterable[Stack]) -> Stack:
    """Plain writes: where a mapped file is written, a full disk is the end of the process."""
    sums: dict[str, int] = {}
    with ExitStack() as open_files:
        files: list[BinaryIO] = []

        def begin(name: str) -> Callable[[np.ndarray], Any]:
            file = open_files.enter_context((folder / name).open("wb"))
            files.append(file)

            def take(array: np.ndarray) -> None:
                data = array.tobytes()
                sums[name] = zlib.crc32(data, sums.get(name, 0))
                file.write(data)

            return take

        keys, widths = _gathered(blocks, begin)
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    np.save(folder / KEYS, keys)
    write_atomic(folder / FACTS, json.dumps({"widths": widths, "sums": sums}).encode("ascii"))
    return _opened(folder)


def _statistics(rows: AttentionRows) -> dict[str, np.ndarray]:
    known = {name: dtype for name, dtype in MAYBE.items() if getattr(rows, name) is not None}
    return {name: np.asarray(getattr(rows, name), dtype) for name, dtype in {**DTYPES, **known}.items()}


def load_stack(folder: Path) -> Stack | None:
    """The newest that can be read, or None: derived files are worth no more than missing ones."""
    found = []
    for path in folder.glob(f"*/{FACTS}"):
        try:
            found.append((path.stat().st_mtime_ns, path.parent))
        except FileNotFoundError:
            continue  # a process that has made a newer one was faster
    for _, own in sorted(found, reverse=True):
        try:
            return _opened(own)
        except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError):
            continue
    return None


def _opened(folder: Path) -> Stack:
    """Raises OSError, ValueError, KeyError, TypeError, IndexError, EOFError where it is not whole. Of mapped arrays the
    sizes are compared, of others the contents."""
    keys = np.load(folder / KEYS, allow_pickle=False)
    facts = json.loads((folder / FACTS).read_text(encoding="ascii"))
    widths, sums = facts["widths"], facts["sums"]
    if not len(keys):
        return empty_stack()
    arrays = {}
    for name, dtype in {**DTYPES, **{name: MAYBE[name] for name in MAYBE if name in widths}}.items():
        shape = (len(keys), *widths[name])
        if (folder / name).stat().st_size != math.prod(shape) * np.dtype(dtype).itemsize:
            raise ValueError(f"{name} has another size")
        arrays[name] = np.memmap(folder / name, dtype, "r", shape=shape).view(np.ndarray)
    if sum(array.nbytes for array in arrays.values()) >= MAPPED_FROM:
        return Stack(keys, arrays)
    arrays = {name: array.copy() for name, array in arrays.items()}
    if wrong := [name for name, array in arrays.items() if zlib.crc32(array) != sums[name]]:
        raise ValueError(f"the checksums of {', '.join(wrong)} do not match")
    return Stack(keys, arrays)


def as_table(stack: Stack, samples: Sequence[Sample]) -> ScanTable:
    """Shared by all who ask for it, hence read-only."""
    for array in stack.arrays.values():
        array.setflags(write=False)
    scored = [samples[position] for position in stack.keys[:, 0].tolist()]
    return ScanTable(
        ids=tuple(sample.id for sample in scored),
        questions=tuple(sample.question for sample in scored),
        answers=tuple(sample.answer for sample in scored),
        **stack.arrays,
    )
