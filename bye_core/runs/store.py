"""Stores the results of a scan: payloads in shards, their locations in the index. One writer, any number of readers."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Lock

import numpy as np

from bye_core.records import AttentionRows, Fault, Sample, ScanTable
from bye_core.runs import index, shards, table
from bye_core.runs.errors import (
    DamagedRun,
    DamagedSample,
    NotScanned,
    NotWriting,
    RunError,
    RunNotWritable,
    ShapeMismatch,
    UnknownSample,
)
from bye_core.runs.lock import locked
from bye_core.runs.payload import decode, encode, payload_id
from bye_core.sample_file import ids_of

SHARDS, INDEX, STATISTICS, LOCK = "shards", "index.sqlite", "statistics", "scan.lock"

# The index, and the files that SQLite adds in WAL mode.
INDEX_FILES = (INDEX, f"{INDEX}-wal", f"{INDEX}-shm")


def create_store(folder: Path) -> None:
    for name in INDEX_FILES:
        (folder / name).unlink(missing_ok=True)
    (folder / SHARDS).mkdir(exist_ok=True)
    index.create(folder / INDEX)


class Store:
    """The attention rows of one run. `samples` returns the run's samples; the index refers to them by position."""

    def __init__(self, folder: Path, samples: Callable[[], Sequence[Sample]]) -> None:
        self._folder = folder
        self._samples = samples
        self._index = folder / INDEX
        self._shards = folder / SHARDS
        self._known: Mapping[str, int] | None = None
        self._stack: table.Stack | None = None
        self._table: ScanTable | None = None
        self._stacking = Lock()
        self._connection: sqlite3.Connection | None = None
        self._shard_bytes = shards.SHARD_BYTES
        self._lost: set[int] = set()  # positions of the samples whose rows failed their checksum

    def position(self, id: str) -> int:
        if self._known is None:
            self._known = {id: position for position, id in enumerate(ids_of(self._samples()))}
        if id not in self._known:
            raise UnknownSample(path=self._folder, id=id)
        return self._known[id]

    def ids(self, positions: Iterable[int]) -> Iterator[str]:
        known = ids_of(self._samples())
        for position in positions:
            if not 0 <= position < len(known):
                detail = "it names a sample that the run does not have"
                raise DamagedRun(file=INDEX, detail=detail, advice=index.ADVICE)
            yield known[position]

    @contextmanager
    def writing(self, shard_bytes: int) -> Iterator[None]:
        with ExitStack() as held:
            held.enter_context(locked(self._folder / LOCK))
            with self._writable():
                self._repair()
                self.verify()
                self._connection = held.enter_context(closing(index.connect(self._index)))
            self._shard_bytes = shard_bytes
            try:
                yield
            finally:
                self._connection = None

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            with index.translated(self._index):
                yield
        except OSError as error:
            raise RunNotWritable(path=self._folder, reason=error.strerror or error) from error

    def _repair(self) -> None:
        """Delete unfinished data of a killed writer; mark samples that a shortened shard has lost as not scanned."""
        if not (self._index.exists() and index.is_sound(self._index, len(self._samples()))):
            self._rebuild_index()
        with index.reading(self._index) as connection:
            short = shards.cut(self._shards, index.ends(connection))
            if short:
                entries = (entry for entry in index.entries(connection) if entry.location.shard in short)
                with index.transaction(connection):
                    index.drop(connection, [e for e in entries if e.location.end > short[e.location.shard]])

    def _rebuild_index(self) -> None:
        """Rebuild the index from the shards. The list of failed samples is lost, so these samples are scanned again."""
        for name in INDEX_FILES:
            if (self._folder / name).exists():
                os.replace(self._folder / name, self._folder / f"damaged-{name}")
        index.create(self._index)
        ids = set(ids_of(self._samples()))
        with index.reading(self._index) as connection, index.transaction(connection) as batch:
            for location, payload in shards.walk(self._shards):
                if (id := payload_id(payload)) in ids:
                    if index.shape(connection) is None:
                        index.keep_shape(connection, *decode(payload).entropy.shape)
                    index.insert(connection, batch, [(self.position(id), location)])

    def append(self, rows: Sequence[AttentionRows], faults: Sequence[Fault]) -> tuple[str, ...]:
        connection = self._connection
        if connection is None:
            raise NotWriting(path=self._folder)
        with self._writable():
            fresh: dict[str, AttentionRows] = {}
            for one in rows:
                if one.id not in fresh and not index.has(connection, self.position(one.id)):
                    fresh[one.id] = one
            shape = _common_shape(fresh.values(), index.shape(connection))
            payloads = [encode(one) for one in fresh.values()]
            locations: list[shards.Location] = []
            if payloads:
                locations = shards.append(self._shards, index.last_end(connection), payloads, self._shard_bytes)
            with index.transaction(connection) as batch:
                if shape:
                    index.keep_shape(connection, *shape)
                index.insert(connection, batch, zip(map(self.position, fresh), locations, strict=True))
                index.add_faults(connection, faults)
                self._lost.difference_update(map(self.position, fresh))
                index.clear_fatal(connection, [self._samples()[self.position(one.id)] for one in rows])
        return tuple(fresh)

    def counts(self) -> tuple[int, int]:
        with index.reading(self._index) as connection:
            return index.count_scored(connection), index.count_failed(connection)

    def scored_ids(self) -> frozenset[str]:
        with index.reading(self._index) as connection:
            return frozenset(self.ids(index.positions(connection).tolist()))

    def scored_positions(self) -> np.ndarray:
        with index.reading(self._index) as connection:
            return index.positions(connection)

    def faults(self) -> tuple[Fault, ...]:
        with index.reading(self._index) as connection:
            return tuple(index.faults(connection))

    def damaged(self) -> tuple[str, ...]:
        with index.reading(self._index) as connection:
            marked = index.damaged(connection)
            scored = set(index.positions(connection).tolist()) if self._lost else set()
        # Samples that could not be marked in the index of this run.
        return tuple(self.ids(sorted({*marked, *(self._lost & scored)})))

    def rows(self, id: str) -> AttentionRows:
        with index.reading(self._index) as connection:
            found = index.entries(connection, self.position(id))
        if not found:
            raise NotScanned(id=id)
        for _, rows in self._read(found):
            return rows
        raise DamagedSample(id=id)

    def rows_of(self, ids: Iterable[str]) -> Iterator[AttentionRows]:
        positions = [self.position(id) for id in ids]
        with index.reading(self._index) as connection:
            rows = [index.entries(connection, position).rows for position in positions]
        found = index.Entries(np.concatenate([np.empty((0, 6), np.int64), *rows]))
        return (rows for _, rows in self._read(found))

    def stored_bytes(self) -> int:
        return sum(file.stat().st_size for file in self._shards.glob("*.bin"))

    def verify(self) -> tuple[str, ...]:
        with index.reading(self._index) as connection:
            entries = index.entries(connection)
        for _ in self._payloads(entries):
            pass
        return self.damaged()

    def table(self) -> ScanTable:
        with self._stacking, index.reading(self._index) as connection:
            state, folder = index.state(connection), self._folder / STATISTICS
            stack = self._stack or table.load_stack(folder) or table.empty_stack()
            if stack.state != state and not table.is_current(stack, entries := index.entries(connection)):
                stack = table.refresh(folder, stack, entries, self._read, state, self._samples())
            if self._table is None or stack is not self._stack:
                self._stack, self._table = stack, table.as_table(stack, self._samples())
            return self._table

    def table_positions(self) -> np.ndarray:
        """Return [N] the position of each row of `table`."""
        self.table()
        assert self._stack is not None
        return self._stack.keys[:, 0]

    def _read(self, entries: index.Entries) -> Iterator[tuple[index.Entry, AttentionRows]]:
        """Yield (entry, rows) of each intact sample, then mark the damaged samples as not scanned."""
        return ((entry, decode(payload)) for entry, payload in self._payloads(entries))

    def _payloads(self, entries: index.Entries) -> Iterator[tuple[index.Entry, bytes]]:
        """Yield (entry, payload) of each intact sample, then mark the damaged samples as not scanned."""
        lost, known = [], ids_of(self._samples())
        found = shards.read(self._shards, (entry.location for entry in entries))
        for entry, (_, payload) in zip(entries, found, strict=True):
            # The index has no checksum of its own: it may name the rows of another sample.
            id = known[entry.position] if 0 <= entry.position < len(known) else None
            if payload is None or id is None or payload_id(payload) != id:
                lost.append(entry)
            else:
                yield entry, payload
        if lost:
            self._drop(lost)

    def _drop(self, lost: Sequence[index.Entry]) -> None:
        try:
            with index.reading(self._index) as connection, index.transaction(connection):
                index.drop(connection, lost)
        except RunError as error:
            if not isinstance(error, RunNotWritable):
                raise
            # In a run that is not writable, damaged samples cannot be marked; every read skips them.
            self._lost.update(entry.position for entry in lost)


def _common_shape(rows: Iterable[AttentionRows], shape: tuple[int, int] | None) -> tuple[int, int] | None:
    for one in rows:
        shape = shape or one.entropy.shape
        if one.entropy.shape != shape:
            raise ShapeMismatch(id=one.id, shape=one.entropy.shape, expected=shape)
    return shape
