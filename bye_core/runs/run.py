"""Reads and writes a run folder: the scan, its settings, the detection and the decisions.

    run.json          settings; written last: a folder without this file is not a run
    samples.jsonl     the samples as they were when the run was created
    shards/00000.bin  attention rows, append-only
    index.sqlite      the scored samples with their locations, and the failed samples
    statistics/       cache: the statistics of all samples as arrays
    detection.json    the last detection
    decisions.jsonl   the decisions of analysts, append-only
    checks.jsonl      the answers of causal checks, append-only

One process at a time writes the scan; meanwhile any number of processes may read, detect and decide.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bye_core.files import file_sha256, write_atomic
from bye_core.records import AttentionRows, CausalCheck, Decision, Detection, Fault, Sample, ScanTable
from bye_core.runs.check_file import CheckFile
from bye_core.runs.checksums import seal, unseal
from bye_core.runs.decision_file import Batch, DecisionFile, Undo
from bye_core.runs.errors import DamagedRun, FolderNotEmpty, NotARun, RunExists, RunMismatch, RunNotWritable
from bye_core.runs.lock import locked
from bye_core.runs.record_json import detection_parts, load_detection, load_samples, sample_lines
from bye_core.runs.settings import RunSettings
from bye_core.runs.shards import SHARD_BYTES
from bye_core.runs.store import INDEX_FILES, LOCK, SHARDS, Store, create_store
from bye_core.sample_file import open_listing

SETTINGS, SAMPLES, DETECTION, DECISIONS = "run.json", "samples.jsonl", "detection.json", "decisions.jsonl"
CHECKS = "checks.jsonl"
STAYS_ON_DISK = 64 * 2**20  # bytes of the list of samples above which the samples are not held in memory (ours)

# Files that an interrupted creation may have left behind.
UNFINISHED = {SAMPLES, SHARDS, LOCK, *INDEX_FILES, f"{INDEX_FILES[0]}-journal"}

ELSEWHERE = "Or scan into a new folder."
EDITED = f"If you edited the file yourself, delete the entry crc32 at its end. {ELSEWHERE}"
RESTORED = "Or scan again with the same --run and data set: the scan restores the file."


def is_run(path: Path | str) -> bool:
    return (Path(path) / SETTINGS).is_file()


class Stamps(NamedTuple):
    """One value for each part of a run; it changes whenever that part changes on disk."""

    scan: tuple
    detection: tuple
    decisions: tuple
    checks: tuple


def stamps(path: Path | str) -> Stamps:
    """Return the stamps of a run, made of file times and sizes. If stamps are equal, cached data is still valid."""
    settings, index, log, detection, decisions, checks = (
        _stamp(Path(path) / name) for name in (SETTINGS, *INDEX_FILES[:2], DETECTION, DECISIONS, CHECKS)
    )
    # Readers create and delete an empty log next to the index, so only a log with content counts.
    return Stamps((settings, index, log if log and log[1] else ()), detection, decisions, checks)


def _stamp(file: Path) -> tuple:
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


class Counts(NamedTuple):
    scored: int
    failed: int
    total: int


class Run:
    """A run folder. Create it with `create`, `open` or `prepare`. It needs no closing: only `writing` opens files."""

    def __init__(self, path: Path, settings: RunSettings, samples_digest: str) -> None:
        self.path = path
        self.settings = settings
        self._samples_digest = samples_digest
        self._store = Store(path, self.samples)
        self._decisions = DecisionFile(path / DECISIONS)
        self._checks = CheckFile(path / CHECKS)

    @classmethod
    def create(cls, path: Path | str, settings: RunSettings, samples: Sequence[Sample]) -> Run:
        """Create a run in a new or empty folder.

        Raises: RunExists if the folder holds a run; FolderNotEmpty if it holds other files; RunBusy if another process
        writes to it; RunNotWritable if it cannot be written.
        """
        path = Path(path)
        digest = hashlib.sha256()
        listing = _hashed(sample_lines(samples), digest)
        _check_vacant(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            with locked(path / LOCK):
                _check_vacant(path)
                create_store(path)
                write_atomic(path / SAMPLES, listing)
                now = datetime.now(timezone.utc).isoformat(timespec="seconds")
                settings = replace(settings, created=settings.created or now)
                _write_settings(path, settings, digest.hexdigest())
        except OSError as error:
            raise RunNotWritable(path=path, reason=error.strerror) from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open an existing run. Raises: NotARun if `path` is not a run; DamagedRun if run.json cannot be read."""
        path = Path(path)
        if not is_run(path):
            raise NotARun(path=path)
        _check_regular(path)
        try:
            record = json.loads(unseal((path / SETTINGS).read_bytes()).text)
            digest = record.pop("samples_digest")
            return cls(path, RunSettings(**record).completed(), digest)
        except OSError as error:
            raise DamagedRun(file=SETTINGS, detail=error.strerror, advice=ELSEWHERE) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedRun(file=SETTINGS, detail=error, advice=EDITED) from error

    @classmethod
    def prepare(cls, path: Path | str, settings: RunSettings, samples: Sequence[Sample]) -> Run:
        """Open the run to resume it, or create it. Raises: RunMismatch if its settings or samples differ."""
        if not is_run(path):
            return cls.create(path, settings, samples)
        run = cls.open(path)
        run.check(settings, samples)
        return run

    def remember(self, **facts: Any) -> None:
        """Store facts that do not change the scanned numbers, such as `tuned_on_this_data`, in the run's settings.

        Raises: RunNotWritable if the folder cannot be written.
        """
        settings = replace(self.settings, **facts)
        if settings == self.settings:
            return
        try:
            _write_settings(self.path, settings, self._samples_digest)
        except OSError as error:
            raise RunNotWritable(path=self.path, reason=error.strerror) from error
        self.settings = settings

    def check(self, settings: RunSettings, samples: Sequence[Sample] | None = None) -> None:
        """Raise RunMismatch if a scan of `samples` with `settings` cannot be part of this run.

        Restores the list of samples from `samples` if it is damaged and they are the same.
        """
        differences = self.settings.differences(settings)
        if samples is not None:
            digest = hashlib.sha256()
            for _ in _hashed(sample_lines(samples), digest):
                pass
            if digest.hexdigest() != self._samples_digest:
                differences.append(f"{len(self.samples())} samples, now {len(samples)}, with other contents")
            elif not differences:
                self._restore_samples(samples)
        if differences:
            raise RunMismatch(path=self.path, differences="; ".join(differences))

    def _restore_samples(self, samples: Sequence[Sample]) -> None:
        path = self.path / SAMPLES
        try:
            if not path.exists() or file_sha256(path) != self._samples_digest:
                write_atomic(path, sample_lines(samples))
        except OSError as error:
            raise RunNotWritable(path=self.path, reason=error.strerror) from error

    @cached_property
    def _snapshot(self) -> Sequence[Sample]:
        path = self.path / SAMPLES
        try:
            if path.stat().st_size >= STAYS_ON_DISK:
                samples, digest = open_listing(path)
                if digest == self._samples_digest:
                    return samples
                data = b""
            else:
                data = path.read_bytes()
        except OSError as error:
            raise DamagedRun(file=SAMPLES, detail=error.strerror, advice=RESTORED) from error
        except ValueError:  # a line is damaged
            data = b""
        if hashlib.sha256(data).hexdigest() != self._samples_digest:
            raise DamagedRun(file=SAMPLES, detail="its checksum does not match", advice=RESTORED)
        return load_samples(data)

    def samples(self) -> Sequence[Sample]:
        """Return all samples of the run, in data set order, as they were when it was created.

        The samples of a large run stay in their file; each is made when it is asked for.
        """
        return self._snapshot

    def sample(self, id: str) -> Sample:
        return self._snapshot[self._store.position(id)]

    @contextmanager
    def writing(self, shard_bytes: int = SHARD_BYTES) -> Iterator[Run]:
        """Lock the scan for writing while the `with` block runs. Repairs files that a killed writer left.

        Raises: RunBusy if another process holds it; RunNotWritable if the folder cannot be written.
        """
        with self._store.writing(shard_bytes):
            yield self

    def append(self, rows: Sequence[AttentionRows], faults: Sequence[Fault] = ()) -> tuple[str, ...]:
        """Save one batch, completely or not at all; return the ids newly stored. Skips samples stored before."""
        return self._store.append(rows, faults)

    def counts(self) -> Counts:
        return Counts(*self._store.counts(), len(self.samples()))

    def scored_ids(self) -> frozenset[str]:
        """Return the ids of the scanned samples. Slow: call it once per scan, not once per sample."""
        return self._store.scored_ids()

    def scored_positions(self) -> np.ndarray:
        """Return the positions in `samples` of the scanned samples, in ascending order."""
        return self._store.scored_positions()

    def failed(self) -> tuple[Fault, ...]:
        """Return the faults of the samples that could not be scanned and are still missing, in data set order."""
        return tuple(fault for fault in self.faults() if fault.fatal)

    def faults(self) -> tuple[Fault, ...]:
        """Return all faults: the fatal faults (see `failed`) and the warnings."""
        return self._store.faults()

    def damaged(self) -> tuple[str, ...]:
        """Return the ids of samples whose rows failed their checksum and that have not been scanned again."""
        return self._store.damaged()

    def rows(self, id: str) -> AttentionRows:
        """Return the attention rows of one sample.

        Raises: UnknownSample if the run has no such id; NotScanned if the sample has no rows yet; DamagedSample if its
        rows fail their checksum.
        """
        return self._store.rows(id)

    def rows_of(self, ids: Iterable[str]) -> Iterator[AttentionRows]:
        """Yield the attention rows of the samples in the order of `ids`; skip unscanned and damaged samples."""
        return self._store.rows_of(ids)

    def table(self) -> ScanTable:
        """Return the statistics of the scanned samples, in data set order, without damaged samples."""
        return self._store.table()

    def table_positions(self) -> np.ndarray:
        """Return [N] the position in `samples` of each row of `table`, in ascending order."""
        return self._store.table_positions()

    def verify(self) -> tuple[str, ...]:
        """Read all stored rows, compare their checksums, and return the ids of the damaged samples."""
        return self._store.verify()

    def stored_bytes(self) -> int:
        """Return the size of all stored rows on disk."""
        return self._store.stored_bytes()

    def decide(self, decisions: Iterable[Decision]) -> str:
        """Append one batch of decisions and return the batch's id; the batch is on disk when this returns."""
        decisions = tuple(decisions)
        for decision in decisions:
            self._store.position(decision.id)
        return self._decisions.decide(decisions)

    def undo(self, batch: str = "", reviewer: str = "") -> Batch | None:
        """Withdraw the batch of decisions with the id `batch` (default: the newest); return it, None if absent.

        The history names the `reviewer` who withdrew it. Give the id if several people review one run, so that they do
        not withdraw each other's decisions.
        """
        return self._decisions.undo(batch, reviewer)

    def batches(self) -> list[Batch]:
        """Return the batches of decisions that are not withdrawn, oldest first."""
        return self._decisions.batches()

    def history(self) -> list[tuple[Batch, Undo | None]]:
        """Return all batches of decisions, oldest first, each with the undo that withdrew it, or None."""
        return self._decisions.history()

    def decisions(self) -> dict[str, Decision]:
        """Return the current decision of each sample, by id; leaves out samples without a decision or with "none"."""
        return self._decisions.current()

    def checking(self) -> AbstractContextManager[CheckFile]:
        """Lock the causal checks for writing while the `with` block runs; store them with `append`.

        Raises: RunBusy if another process holds it; RunNotWritable if the folder cannot be written.
        """
        return self._checks.writing()

    def checks(self) -> dict[str, CausalCheck]:
        """Return the newest causal check of each sample, by id; its `key` identifies the checked spot and target."""
        return self._checks.current()

    def save_detection(self, detection: Detection) -> None:
        try:
            write_atomic(self.path / DETECTION, detection_parts(detection))
        except OSError as error:
            raise RunNotWritable(path=self.path, reason=error.strerror) from error

    def detection(self) -> Detection | None:
        """Return the last detection, None if there is none."""
        path = self.path / DETECTION
        if not path.exists():
            return None
        try:
            return load_detection(path.read_bytes())
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            advice = "Or run `detect` again. It needs only the scan."
            raise DamagedRun(file=DETECTION, detail=error, advice=advice) from error


def _write_settings(path: Path, settings: RunSettings, samples_digest: str) -> None:
    record = {**settings.record(), "samples_digest": samples_digest}
    write_atomic(path / SETTINGS, seal(json.dumps(record, indent=1).encode("ascii")) + b"\n")


def edit_settings(path: Path | str, **changes: Any) -> None:
    """Write changed entries into the run.json of a run, for example the paths of a moved model. Raises: OSError."""
    file = Path(path) / SETTINGS
    record = json.loads(unseal(file.read_bytes()).text) | changes
    write_atomic(file, seal(json.dumps(record, indent=1).encode("ascii")) + b"\n")


def _hashed(lines: Iterable[bytes], digest: Any) -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _check_regular(path: Path) -> None:
    """Check that the files of a run, which somebody else may have made, are files: a named pipe is read for ever."""
    shards = path / SHARDS
    names = [SAMPLES, DETECTION, DECISIONS, CHECKS, LOCK, *INDEX_FILES]
    names += [f"{SHARDS}/{name}" for name in os.listdir(shards)] if shards.is_dir() else []
    for name in names:
        try:
            mode = os.stat(path / name).st_mode
        except OSError:
            continue  # it is missing, or the reader reports it
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DamagedRun(file=name, detail="it is no regular file", advice=ELSEWHERE)


def _check_vacant(path: Path) -> None:
    if is_run(path):
        raise RunExists(path=path)
    names = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in names if name not in UNFINISHED and not name.endswith(".tmp")]
    if foreign:
        raise FolderNotEmpty(path=path, name=foreign[0])
