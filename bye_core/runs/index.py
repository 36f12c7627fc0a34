"""The index of a run in SQLite: scanned samples with the locations of their rows, faults, and damaged samples.

Identifies a sample by its position in the run's list of samples: SQLite cannot store ids with lone surrogates.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, overload

import numpy as np

from bye_core.errors import printable
from bye_core.records import Fault, Sample
from bye_core.runs.checksums import seal, unseal
from bye_core.runs.errors import DamagedRun, RunBusy, RunNotWritable
from bye_core.runs.shards import Location
from bye_core.text import clip

BUSY_SECONDS = 10.0
AT_ONCE = 2**16  # entries that are read from the index at once

SCHEMA = """
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE scored (position INTEGER PRIMARY KEY, shard INTEGER NOT NULL, offset INTEGER NOT NULL,
                     length INTEGER NOT NULL, crc INTEGER NOT NULL, batch INTEGER NOT NULL);
CREATE INDEX scored_by_place ON scored (shard, offset);
CREATE TABLE faults (id TEXT NOT NULL, record INTEGER NOT NULL, kind TEXT NOT NULL, fatal INTEGER NOT NULL,
                     fault TEXT NOT NULL, PRIMARY KEY (id, record, kind));
CREATE TABLE damaged (position INTEGER PRIMARY KEY);
INSERT INTO state VALUES ('batch', 0);
"""
# SQLite's messages for a file that is not a database, a broken database, and an empty database.
# SQLite's messages if it cannot create the files that it needs beside a database.
NO_ROOM = ("full", "I/O", "unable to open", "readonly")
DAMAGE = ("not a database", "malformed", "no such table")

ADVICE = "Or move index.sqlite away and scan again, which rebuilds the index from the shards."


class Entry(NamedTuple):
    """One scanned sample: its position in the run's list of samples, the location of its rows, its commit number."""

    position: int
    location: Location
    batch: int


class Entries(Sequence[Entry]):
    """Scanned samples in data set order, as an array `rows` [N, 6] of whole numbers: a million take 48 MB."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray) -> Entries: ...
    def __getitem__(self, index: int | slice | np.ndarray) -> Entry | Entries:
        if not isinstance(index, int):
            return Entries(self.rows[index])
        position, *location, batch = self.rows[index].tolist()
        return Entry(position, Location(*location), batch)

    @property
    def keys(self) -> np.ndarray:
        """[N, 2] the position and the commit number of each sample."""
        return self.rows[:, [0, 5]]


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Convert SQLite's errors inside the `with` block to the errors of runs."""
    try:
        yield
    except UnicodeDecodeError as error:  # SQLite's message quotes a damaged name
        raise DamagedRun(file=path.name, detail="its schema is damaged", advice=ADVICE) from error
    except sqlite3.DatabaseError as error:
        message = str(error)
        if "locked" in message or "busy" in message:
            raise RunBusy(path=path.parent, holder="another process") from error
        if "full" in message or "readonly" in message or "I/O" in message:
            raise RunNotWritable(path=path.parent, reason=message) from error
        raise DamagedRun(file=path.name, detail=message, advice=ADVICE) from error


def create(path: Path) -> None:
    with translated(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(f"BEGIN;{SCHEMA}COMMIT;")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that any thread may use: an app may run each step of a scan in a different thread."""
    if not path.exists():
        raise DamagedRun(file=path.name, detail="it is missing", advice=ADVICE)
    with translated(path):
        connection = sqlite3.connect(
            _address(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    try:
        # FULL: a completed commit survives a power cut, also in WAL mode.
        connection.execute("PRAGMA synchronous=FULL")
        check_schema(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def check_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Check that an index, which somebody else may have made, holds tables alone: a view may compute for ever.

    Raises: DamagedRun if it holds anything else.
    """
    connection.execute("PRAGMA trusted_schema=OFF")
    others = "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'"
    if found := connection.execute(others).fetchone():
        detail = f"it holds {clip(printable(found[0]), 40)}, which is no table"
        raise DamagedRun(file=path.name, detail=detail, advice=ADVICE)


def _address(path: Path) -> str:
    address = path.resolve().as_uri()
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return f"{address}?mode=rw"
    # In WAL mode even a reader creates files next to the database, unless it is opened as immutable.
    return f"{address}?mode=ro" if path.with_name(f"{path.name}-wal").exists() else f"{address}?immutable=1"


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection for reading, also if the disk is full or read-only.

    Even a reader needs a file beside a database in WAL mode. If the disk has no room for it, reads a copy.
    """
    with translated(path), ExitStack() as held:
        try:
            connection = held.enter_context(closing(connect(path)))
            connection.execute("SELECT 1 FROM state").fetchone()
        except sqlite3.OperationalError as error:
            if not any(words in str(error) for words in NO_ROOM):
                raise
            connection = held.enter_context(closing(sqlite3.connect(_copied(path, held), isolation_level=None)))
            check_schema(path, connection)
        yield connection


def _copied(path: Path, held: ExitStack) -> Path:
    """Copy the index and its log into a temporary folder, or into memory; return the path of the copy."""
    for parent in (None, "/dev/shm"):
        try:
            folder = Path(held.enter_context(TemporaryDirectory(prefix="bye-index-", dir=parent)))
            for name in (path.name, f"{path.name}-wal"):
                if path.with_name(name).exists():
                    shutil.copyfile(path.with_name(name), folder / name)
        except OSError:
            continue
        return folder / path.name
    raise sqlite3.OperationalError("the disk is full")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[int]:
    """Commit all changes in the `with` block, or none if it fails; yields the number of this commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE state SET value = value + 1 WHERE name = 'batch'")
        yield batch_number(connection)
        connection.execute("INSERT OR REPLACE INTO state SELECT 'scored', count(*) FROM scored")
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back the transaction already, if the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_sound(path: Path, samples: int) -> bool:
    """Return whether the file is a valid index of a run with this number of samples.

    Raises an error, instead of returning False, if the disk fails.
    """
    with translated(path), closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        try:
            connection.execute("SELECT value FROM state").fetchall()
            count_scored(connection)
            faults(connection)
            if not all(isinstance(position, int) and 0 <= position < samples for position in damaged(connection)):
                return False
            if (entries(connection).rows[:, 0] >= samples).any():
                return False
            return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except UnicodeDecodeError:
            return False
        except sqlite3.DatabaseError as error:
            if any(words in str(error) for words in DAMAGE):
                return False
            raise


def state(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return (number of the last commit, number of scanned samples). Raises: as count_scored."""
    return batch_number(connection), count_scored(connection)


def batch_number(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT value FROM state WHERE name = 'batch'").fetchone()[0]


def shape(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Return (L, H) of the stored rows, None if no rows are stored."""
    found = dict(connection.execute("SELECT name, value FROM state WHERE name IN ('layers', 'heads')"))
    return (found["layers"], found["heads"]) if found else None


def keep_shape(connection: sqlite3.Connection, layers: int, heads: int) -> None:
    connection.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", [("layers", layers), ("heads", heads)])


def positions(connection: sqlite3.Connection) -> np.ndarray:
    """Return the positions of the scanned samples, in ascending order."""
    count = count_scored(connection)
    found = connection.execute("SELECT position FROM scored ORDER BY position")
    return np.fromiter((position for (position,) in found), np.int64, count)


def count_scored(connection: sqlite3.Connection) -> int:
    """Return the number of scanned samples. Raises: sqlite3.DatabaseError if entries have disappeared from the index.

    SQLite has no checksums, so the number of entries is stored beside them. Both are read by one statement, so that no
    other process can write between them.
    """
    both = "SELECT (SELECT count(*) FROM scored), (SELECT value FROM state WHERE name = 'scored')"
    count, stored = connection.execute(both).fetchone()
    if stored is not None and stored != count:
        raise sqlite3.DatabaseError(f"malformed: it has {count} entries and should have {stored}")
    return count


def has(connection: sqlite3.Connection, position: int) -> bool:
    return connection.execute("SELECT 1 FROM scored WHERE position = ?", (position,)).fetchone() is not None


def entries(connection: sqlite3.Connection, position: int | None = None) -> Entries:
    """Return the scanned samples in data set order, or only the sample at `position`."""
    query = "SELECT position, shard, offset, length, crc, batch FROM scored"
    if position is None:
        count_scored(connection)
        found = connection.execute(f"{query} ORDER BY position")
    else:
        found = connection.execute(f"{query} WHERE position = ?", (position,))
    numbers = array("q")
    try:
        while some := found.fetchmany(AT_ONCE):
            numbers.extend(itertools.chain.from_iterable(some))
    except (TypeError, OverflowError) as error:  # a flipped bit may change the type of a value
        raise sqlite3.DatabaseError("malformed: an entry holds something else than numbers") from error
    rows = np.frombuffer(numbers, np.int64).reshape(-1, 6)
    if position is not None and not len(rows) and _is_hidden(connection, position):
        raise sqlite3.DatabaseError("malformed: its entries are out of order")
    if len(rows) and rows.min() < 0:
        raise sqlite3.DatabaseError("malformed: an entry holds a negative number")
    return Entries(rows)


def _is_hidden(connection: sqlite3.Connection, position: int) -> bool:
    """Return whether a flipped bit hides an entry from a search; "+" makes SQLite read all entries.

    Both are asked by one statement: another process may just have written the entry.
    """
    there, found = (
        "EXISTS (SELECT 1 FROM scored WHERE +position = ?)",
        "EXISTS (SELECT 1 FROM scored WHERE position = ?)",
    )
    return bool(connection.execute(f"SELECT {there} > {found}", (position, position)).fetchone()[0])


def last_end(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return (shard, committed end in bytes), the position at which the next batch is written."""
    query = "SELECT shard, offset + length FROM scored ORDER BY shard DESC, offset DESC LIMIT 1"
    return connection.execute(query).fetchone() or (0, 0)


def ends(connection: sqlite3.Connection) -> dict[int, int]:
    return dict(connection.execute("SELECT shard, max(offset + length) FROM scored GROUP BY shard"))


def insert(connection: sqlite3.Connection, batch: int, scored: Iterable[tuple[int, Location]]) -> None:
    rows = [(position, *location, batch) for position, location in scored]
    connection.executemany("INSERT OR REPLACE INTO scored VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("DELETE FROM damaged WHERE position = ?", [row[:1] for row in rows])


def drop(connection: sqlite3.Connection, lost: Iterable[Entry]) -> None:
    """Mark the samples `lost` as damaged and not scanned, unless a newer commit has replaced their rows."""
    for entry in lost:
        where = (entry.position, entry.batch)
        gone = connection.execute("DELETE FROM scored WHERE position = ? AND batch = ?", where).rowcount
        if gone:
            connection.execute("INSERT OR IGNORE INTO damaged VALUES (?)", (entry.position,))


def damaged(connection: sqlite3.Connection) -> list[int]:
    return [position for (position,) in connection.execute("SELECT position FROM damaged ORDER BY position")]


def add_faults(connection: sqlite3.Connection, faults: Iterable[Fault]) -> None:
    """Store faults. A fatal fault replaces the earlier one of its record, so that a record is listed once."""
    rows = [(json.dumps(fault.id), fault.index, fault.kind, fault.fatal, _sealed(fault)) for fault in faults]
    fatal = [row[:2] for row in rows if row[3]]
    connection.executemany("DELETE FROM faults WHERE id = ? AND record = ? AND fatal", fatal)
    connection.executemany("INSERT OR REPLACE INTO faults VALUES (?, ?, ?, ?, ?)", rows)


def clear_fatal(connection: sqlite3.Connection, samples: Iterable[Sample]) -> None:
    """Delete the fatal faults of samples that are now scanned. Keeps the faults of other records with the same id."""
    keys = [(json.dumps(sample.id), sample.index) for sample in samples]
    connection.executemany("DELETE FROM faults WHERE id = ? AND record = ? AND fatal", keys)


def count_failed(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM (SELECT DISTINCT id, record FROM faults WHERE fatal)").fetchone()[0]


def faults(connection: sqlite3.Connection) -> list[Fault]:
    """Return all faults. Raises: sqlite3.DatabaseError if one is damaged."""
    found = []
    for *columns, text in connection.execute("SELECT id, record, kind, fatal, fault FROM faults"):
        try:
            fault = Fault(**json.loads(unseal(text.encode("ascii")).text))
        except (ValueError, TypeError, AttributeError) as error:
            raise sqlite3.DatabaseError(f"malformed fault: {error}") from error
        if columns != [json.dumps(fault.id), fault.index, fault.kind, fault.fatal]:
            raise sqlite3.DatabaseError("malformed fault: its columns differ from its text")
        found.append(fault)
    return sorted(found, key=lambda fault: (fault.index, fault.id, fault.kind))


def _sealed(fault: Fault) -> str:
    return seal(json.dumps(asdict(fault)).encode("ascii")).decode("ascii")
