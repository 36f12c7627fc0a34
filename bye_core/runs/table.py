"""Stacks the statistics of all scanned samples into arrays, and caches the arrays in files, so that a run opens fast.

The statistics of a million samples do not fit into memory, so large files are memory-mapped. The cache only saves time:
it is rebuilt from the shards if it is missing, stale or unreadable. If it cannot be written, the arrays are held in
memory, whatever their size.

statistics/NAME/   one state of the scan: one binary file per array; facts.json is written last
"""

from __future__ import annotations

import json
import math
import mmap
import os
import secrets
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from bye_core.files import hold, is_held, write_atomic
from bye_core.records import AttentionRows, Sample, ScanTable
from bye_core.runs.index import Entries, Entry
from bye_core.runs.payload import OPTIONAL, OPTIONAL_ARRAYS, STATISTICS
from bye_core.sample_file import SampleFile
from bye_core.sample_texts import Texts, text_codes

DTYPES = {
    **dict.fromkeys(STATISTICS, np.float32), "token": np.int64, "probability": np.float64, "image_tokens": np.int64,
}  # fmt: skip
# Absent if no sample has them.
MAYBE = {**dict.fromkeys(OPTIONAL_ARRAYS, np.float16), **dict.fromkeys(OPTIONAL, np.float64)}
AXES = {"layer_entropy": 2, "layer_entropy_reference": 2, "entropy": 3, "peak": 3, "mass": 4}
KEYS, TEXTS, FACTS = "keys.npy", "texts.npy", "facts.json"
BLOCK = 1024  # samples per copied block
# Arrays with more bytes in total are memory-mapped. Smaller arrays are read, so they do not depend on the files.
MAPPED_FROM = 2**30

ReadEntries = Callable[[Entries], Iterator[tuple[Entry, AttentionRows]]]


class Stack(NamedTuple):
    """The arrays of a ScanTable, and `keys` [N, 2]: each row's position in the run and commit number.

    state  the state of the index (index.state) with which the stack was made; None if it is unknown
    texts  [N, 2] the first rows with the same question and the same answer; None if they are unknown
    """

    keys: np.ndarray
    arrays: dict[str, np.ndarray]
    state: tuple[int, int] | None = None
    texts: np.ndarray | None = None


class _Layout(NamedTuple):
    """The keys of a stored table of statistics, and the shape of each array (by name) without its first axis."""

    keys: np.ndarray
    widths: dict[str, tuple[int, ...]]


def empty_stack() -> Stack:
    arrays = {name: np.empty((0,) * AXES.get(name, 1), dtype) for name, dtype in DTYPES.items()}
    return Stack(np.empty((0, 2), np.int64), arrays)


def is_current(stack: Stack, entries: Entries) -> bool:
    return np.array_equal(stack.keys, entries.keys)


def refresh(
    folder: Path, stack: Stack, entries: Entries, read: ReadEntries, state: tuple[int, int], samples: Sequence[Sample]
) -> Stack:
    """Return the stack of `entries`: copy the rows that `stack` has, read the other rows, skip unreadable rows.

    state  of the index that has these entries
    Replaces the older states in `folder` by the result, if the folder can be written.
    """
    own = folder / secrets.token_hex(6)
    try:
        folder.mkdir(exist_ok=True)
        own.mkdir()
        with _held(own):
            made = _write(own, _blocks(stack, entries, read), state, samples)
        _delete_older(own)
    except (OSError, ValueError):
        # Without a cache (full disk, read-only run), this reader needs more memory, and the next one more time.
        shutil.rmtree(own, ignore_errors=True)
        return _in_memory(_blocks(stack, entries, read))
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise
    return made


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Mark an unfinished state as in use."""
    descriptor = None if os.name == "nt" else os.open(folder, os.O_RDONLY)
    try:
        if descriptor is not None:
            hold(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _delete_older(own: Path) -> None:
    """Delete the states in the same folder that are older than the state `own`."""
    made = (own / FACTS).stat().st_mtime_ns
    for other in own.parent.iterdir():
        try:
            facts = other / FACTS
            older = facts.stat().st_mtime_ns < made if facts.is_file() else not is_held(other)
            if other != own and older:
                # Windows does not delete a state that a reader has open. It is deleted with the next state.
                shutil.rmtree(other, ignore_errors=True)
        except FileNotFoundError:
            continue  # another process has deleted it


def _blocks(stack: Stack, entries: Entries, read: ReadEntries) -> Iterator[Stack]:
    """Yield the new stack in blocks of rows; a block has an array if at least one of its rows has it."""
    for start in range(0, len(entries), BLOCK):
        block = entries[start : start + BLOCK]
        rows = np.searchsorted(stack.keys[:, 0], block.keys[:, 0])  # of the same samples in the old stack
        rows = np.where(rows < len(stack.keys), rows, -1)
        known = (stack.keys[rows] == block.keys).all(axis=1) if len(stack.keys) else np.zeros(len(block), bool)
        fresh = {entry: _statistics(rows) for entry, rows in read(block[~known])}
        sources = {entry: row if old else None for entry, row, old in zip(block, rows.tolist(), known, strict=True)}
        kept = [entry for entry in block if entry in fresh or sources[entry] is not None]
        if kept:
            yield _block(stack, kept, sources, fresh)


def _block(
    stack: Stack,
    entries: Sequence[Entry],
    sources: Mapping[Entry, int | None],
    fresh: Mapping[Entry, Mapping[str, np.ndarray]],
) -> Stack:
    """Return the stack of `entries`: each row is from `fresh`, or from `stack` at the row number in `sources`."""
    copied = np.array([sources[entry] is not None for entry in entries], bool)
    rows = [row for entry in entries if (row := sources[entry]) is not None]
    arrays = {}
    for name, dtype in {**DTYPES, **MAYBE}.items():
        new = {entry: statistics[name] for entry, statistics in fresh.items() if name in statistics}
        before = stack.arrays[name][rows] if rows and name in stack.arrays else None
        if before is None and not new:
            continue
        shape = next(iter(new.values())).shape if before is None else before.shape[1:]
        arrays[name] = np.full((len(entries), *shape), np.nan if name in MAYBE else 0, dtype)
        if before is not None:
            arrays[name][copied] = before
        for row in np.flatnonzero(~copied).tolist():
            arrays[name][row] = new.get(entries[row], np.nan)
    keys = np.array([(entry.position, entry.batch) for entry in entries], np.int64).reshape(-1, 2)
    return Stack(keys, arrays)


def _collect(blocks: Iterable[Stack], begin: Callable[[str], Callable[[np.ndarray], Any]]) -> _Layout:
    """Pass each array's rows, in order, to the function that `begin(name)` returns; pass NaN for absent rows."""
    keys = [np.empty((0, 2), np.int64)]
    takers: dict[str, Callable[[np.ndarray], Any]] = {}
    widths: dict[str, tuple[int, ...]] = {}
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
    return _Layout(np.concatenate(keys), widths)


def _unknown(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan, MAYBE[name])


def _in_memory(blocks: Iterable[Stack]) -> Stack:
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    keys, _ = _collect(blocks, lambda name: parts[name].append)
    return Stack(keys, {name: np.concatenate(parts.pop(name)) for name in list(parts)}) if len(keys) else empty_stack()


def _write(folder: Path, blocks: Iterable[Stack], state: tuple[int, int], samples: Sequence[Sample]) -> Stack:
    """Write the stack to files and open it. Does not write through memory maps: a full disk would kill the process."""
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

        keys, widths = _collect(blocks, begin)
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    np.save(folder / KEYS, keys)
    sums["keys"] = zlib.crc32(keys.tobytes())
    if isinstance(samples, SampleFile):
        texts = text_codes(samples.at(keys[:, 0]))
        np.save(folder / TEXTS, texts)
        sums["texts"] = zlib.crc32(texts.tobytes())
    facts = {"widths": widths, "sums": sums, "state": state}
    write_atomic(folder / FACTS, json.dumps(facts).encode("ascii"))
    return _open(folder)


def _statistics(rows: AttentionRows) -> dict[str, np.ndarray]:
    known = {name: dtype for name, dtype in MAYBE.items() if getattr(rows, name) is not None}
    return {name: np.asarray(getattr(rows, name), dtype) for name, dtype in {**DTYPES, **known}.items()}


def load_stack(folder: Path) -> Stack | None:
    """Return the stack of the newest state that can be read, None if there is no such state."""
    found = []
    for path in folder.glob(f"*/{FACTS}"):
        try:
            found.append((path.stat().st_mtime_ns, path.parent))
        except FileNotFoundError:
            continue  # a process with a newer state has deleted it
    for _, own in sorted(found, reverse=True):
        try:
            return _open(own)
        except Exception:  # noqa: BLE001, S112 - NumPy raises anything on a damaged header; the cache is made again
            continue
    return None


def _open(folder: Path) -> Stack:
    """Return the stack of a state; check the sizes of memory-mapped arrays and the checksums of the others.

    Raises: OSError, ValueError, KeyError, TypeError, IndexError or EOFError if the state is incomplete or damaged.
    """
    keys = np.load(folder / KEYS, allow_pickle=False)
    facts = json.loads((folder / FACTS).read_text(encoding="ascii"))
    widths, sums = facts["widths"], facts["sums"]
    state = tuple(facts["state"]) if "state" in facts else None  # earlier versions stored none
    texts = np.load(folder / TEXTS, allow_pickle=False) if "texts" in sums else None
    if texts is not None and zlib.crc32(texts.tobytes()) != sums["texts"]:
        raise ValueError("the checksum of the texts does not match")
    if zlib.crc32(keys.tobytes()) != sums["keys"]:
        raise ValueError("the checksum of the keys does not match")
    if not len(keys):
        return empty_stack()
    arrays = {}
    for name, dtype in {**DTYPES, **{name: MAYBE[name] for name in MAYBE if name in widths}}.items():
        shape = (len(keys), *widths[name])
        if (folder / name).stat().st_size != math.prod(shape) * np.dtype(dtype).itemsize:
            raise ValueError(f"{name} has another size")
        arrays[name] = np.memmap(folder / name, dtype, "r", shape=shape).view(np.ndarray)
    if sum(array.nbytes for array in arrays.values()) >= MAPPED_FROM:
        return Stack(keys, arrays, state, texts)
    arrays = {name: array.copy() for name, array in arrays.items()}
    if wrong := [name for name, array in arrays.items() if zlib.crc32(array.data) != sums[name]]:
        raise ValueError(f"the checksums of {', '.join(wrong)} do not match")
    return Stack(keys, arrays, state, texts)


def few_rows(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return `values[rows]`; of an array in a mapped file, read these rows alone.

    The system reads some 100 kB around a place of a mapped file. That is good for a detection, which reads everything.
    2,000 rows of a million take a hundred times as long that way (measured).
    """
    owner: Any = values
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if not isinstance(owner, mmap.mmap) or not hasattr(mmap, "MADV_RANDOM"):
        return values[rows]
    owner.madvise(mmap.MADV_RANDOM)
    try:
        return values[rows]
    finally:
        owner.madvise(mmap.MADV_NORMAL)


def as_table(stack: Stack, samples: Sequence[Sample]) -> ScanTable:
    """Return the stack as a ScanTable; its arrays are read-only, as all callers share them."""
    for array in stack.arrays.values():
        array.setflags(write=False)
    arrays: dict[str, Any] = stack.arrays
    if isinstance(samples, SampleFile):
        own = samples.at(stack.keys[:, 0])
        texts = text_codes(own) if stack.texts is None else stack.texts
        questions, answers = (Texts(own, name, texts[:, k]) for k, name in enumerate(("question", "answer")))
        return ScanTable(ids=own.ids, questions=questions, answers=answers, **arrays)
    scored = [samples[position] for position in stack.keys[:, 0].tolist()]
    return ScanTable(
        ids=tuple(sample.id for sample in scored),
        questions=tuple(sample.question for sample in scored),
        answers=tuple(sample.answer for sample in scored),
        **arrays,
    )
