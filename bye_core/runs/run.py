"""Reads and writes a run folder: the scan, its settings, the detection and the decisions.

    run.json          settings; written last, so that a folder without it is no run
    samples.jsonl     the samples as they were when the run was created
    shards/00000.bin  attention rows, append-only
    index.sqlite      the scored samples with their locations, and the failed samples
    statistics/       derived: the statistics of all samples as arrays
    detection.json    the last detection
    decisions.jsonl   the decisions of analysts, append-only
    checks.jsonl      the answers of causal checks, append-only

One process at a time writes the scan; any number may read, detect and decide meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bye_core.files import write_atomic
from bye_core.records import AttentionRows, CausalCheck, Decision, Detection, Fault, Sample, ScanTable
from bye_core.runs.check_file import CheckFile
from bye_core.runs.decision_file import Batch, DecisionFile
from bye_core.runs.errors import DamagedRun, FolderNotEmpty, NotARun, RunExists, RunMismatch, RunNotWritable
from bye_core.runs.lock import locked
from bye_core.runs.record_json import dump_detection, dump_samples, load_detection, load_samples
from bye_core.runs.settings import RunSettings
from bye_core.runs.shards import SHARD_BYTES
from bye_core.runs.store import INDEX_FILES, LOCK, SHARDS, Store, create_store

SETTINGS, SAMPLES, DETECTION, DECISIONS = "run.json", "samples.jsonl", "detection.json", "decisions.jsonl"
CHECKS = "checks.jsonl"

# Files that an interrupted creation may have left behind.
UNFINISHED = {SAMPLES, SHARDS, LOCK, *INDEX_FILES, f"{INDEX_FILES[0]}-journal"}

ELSEWHERE = "Or scan into a new folder."


def is_run(path: Path | str) -> bool:
    return (Path(path) / SETTINGS).is_file()


class Stamps(NamedTuple):
    """Values that change whenever that part of a run changes on disk."""

    scan: tuple
    detection: tuple
    decisions: tuple
    checks: tuple


def stamps(path: Path | str) -> Stamps:
    """Return the stamps of a run from file times and sizes: a cheap test whether cached data is still current."""
    settings, index, log, detection, decisions, checks = (
        _stamp(Path(path) / name) for name in (SETTINGS, *INDEX_FILES[:2], DETECTION, DECISIONS, CHECKS)
    )
    # Readers create and delete an empty log beside the index: only a log with content counts.
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
    """A run folder; made by `create`, `open` or `prepare`. Holds files open only inside `writing`: needs no closing."""

    def __init__(self, path: Path, settings: RunSettings, samples_digest: str) -> None:
        self.path = path
        self.settings = settings
        self._samples_digest = samples_digest
        self._store = Store(path, self.samples)
        self._decisions = DecisionFile(path / DECISIONS)
        self._checks = CheckFile(path / CHECKS)

    @classmethod
    def create(cls, path: Path | str, settings: RunSettings, samples: Sequence[Sample]) -> Run:
        """Create a run in a new or empty folder. Raises: RunExists, FolderNotEmpty, RunBusy, RunNotWritable."""
        path = Path(path)
        listing = dump_samples(samples)
        _check_vacant(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            with locked(path / LOCK):
                _check_vacant(path)
                create_store(path)
                write_atomic(path / SAMPLES, listing)
                now = datetime.now(timezone.utc).isoformat(timespec="seconds")
                settings = replace(settings, created=settings.created or now)
                record = {**settings.record(), "samples_digest": hashlib.sha256(listing).hexdigest()}
                write_atomic(path / SETTINGS, (json.dumps(record, indent=1) + "\n").encode("ascii"))
        except OSError as error:
            raise RunNotWritable(path=path, reason=error.strerror) from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open an existing run. Raises: NotARun, DamagedRun."""
        path = Path(path)
        if not is_run(path):
            raise NotARun(path=path)
        try:
            record = json.loads((path / SETTINGS).read_bytes())
            digest = record.pop("samples_digest")
            return cls(path, RunSettings(**record), digest)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedRun(file=SETTINGS, detail=error, advice=ELSEWHERE) from error

    @classmethod
    def prepare(cls, path: Path | str, settings: RunSettings, samples: Sequence[Sample]) -> Run:
        """Open the run to resume it, or create it. Raises: RunMismatch if it has other settings or samples."""
        if not is_run(path):
            return cls.create(path, settings, samples)
        run = cls.open(path)
        run.check(settings, samples)
        return run

    def check(self, settings: RunSettings, samples: Sequence[Sample] | None = None) -> None:
        """Raise RunMismatch if rows read with `settings` (from `samples`) do not belong in this run."""
        differences = self.settings.differences(settings)
        if samples is not None and hashlib.sha256(dump_samples(samples)).hexdigest() != self._samples_digest:
            differences.append(f"{len(self.samples())} samples, now {len(samples)}, not the same ones")
        if differences:
            raise RunMismatch(path=self.path, differences="; ".join(differences))

    @cached_property
    def _snapshot(self) -> tuple[Sample, ...]:
        try:
            data = (self.path / SAMPLES).read_bytes()
        except OSError as error:
            raise DamagedRun(file=SAMPLES, detail=error.strerror, advice=ELSEWHERE) from error
        if hashlib.sha256(data).hexdigest() != self._samples_digest:
            raise DamagedRun(file=SAMPLES, detail="its checksum does not match", advice=ELSEWHERE)
        return load_samples(data)

    def samples(self) -> tuple[Sample, ...]:
        """Return all samples of the run, in data set order, as they were when it was created."""
        return self._snapshot

    def sample(self, id: str) -> Sample:
        return self._snapshot[self._store.position(id)]

    @contextmanager
    def writing(self, shard_bytes: int = SHARD_BYTES) -> Iterator[Run]:
        """Become the one writer of the scan; cuts off what a killed writer left unfinished. Raises: RunBusy."""
        with self._store.writing(shard_bytes):
            yield self

    def append(self, rows: Sequence[AttentionRows], faults: Sequence[Fault] = ()) -> tuple[str, ...]:
        """Commit one batch, all or nothing; return the ids newly stored. Samples stored before are unchanged."""
        return self._store.append(rows, faults)

    def counts(self) -> Counts:
        return Counts(*self._store.counts(), len(self.samples()))

    def scored_ids(self) -> frozenset[str]:
        """Return the ids of the scanned samples. Call it once a scan, not once a sample."""
        return self._store.scored_ids()

    def failed(self) -> tuple[Fault, ...]:
        """Return why samples could not be scored, in data set order; samples scored later are not listed."""
        return tuple(fault for fault in self.faults() if fault.fatal)

    def faults(self) -> tuple[Fault, ...]:
        """Return all faults, the fatal ones of `failed` and the warnings."""
        return self._store.faults()

    def damaged(self) -> tuple[str, ...]:
        """Return the ids of samples whose stored rows failed their checksum, until they are scanned again."""
        return self._store.damaged()

    def rows(self, id: str) -> AttentionRows:
        """Return the rows of one sample. Raises: UnknownSample, NotScanned, DamagedSample."""
        return self._store.rows(id)

    def rows_of(self, ids: Iterable[str]) -> Iterator[AttentionRows]:
        """Yield the rows of several samples, in that order; leaves out those not scanned or damaged."""
        return self._store.rows_of(ids)

    def table(self) -> ScanTable:
        """Return the statistics of the scored samples, in data set order; leaves out damaged samples."""
        return self._store.table()

    def verify(self) -> tuple[str, ...]:
        """Read everything, compare checksums, and return the damaged samples."""
        return self._store.verify()

    def decide(self, decisions: Iterable[Decision]) -> str:
        """Append one batch of decisions and return its id; it is on disk when this returns."""
        decisions = tuple(decisions)
        for decision in decisions:
            self._store.position(decision.id)
        return self._decisions.decide(decisions)

    def undo(self, batch: str = "") -> Batch | None:
        """Withdraw the newest batch of decisions, or the one named; None if there is no such valid batch.

        By naming it, several people who review one run do not withdraw each other's decisions.
        """
        return self._decisions.undo(batch)

    def batches(self) -> list[Batch]:
        """Return the batches of decisions that are not withdrawn, oldest first."""
        return self._decisions.batches()

    def decisions(self) -> dict[str, Decision]:
        """Return the valid decision of each sample, by id; leaves out samples without one or with "none"."""
        return self._decisions.current()

    def checking(self) -> AbstractContextManager[CheckFile]:
        """Become the one writer of causal checks, which `append` stores. Raises: RunBusy."""
        return self._checks.writing()

    def checks(self) -> dict[str, CausalCheck]:
        """Return the newest causal check of each sample; its `key` tells which spot and target it was about."""
        return self._checks.current()

    def save_detection(self, detection: Detection) -> None:
        try:
            write_atomic(self.path / DETECTION, dump_detection(detection))
        except OSError as error:
            raise RunNotWritable(path=self.path, reason=error.strerror) from error

    def detection(self) -> Detection | None:
        """Return the last detection, None before the first."""
        path = self.path / DETECTION
        if not path.exists():
            return None
        try:
            return load_detection(path.read_bytes())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            advice = "Or run `detect` again: it needs the scan alone."
            raise DamagedRun(file=DETECTION, detail=error, advice=advice) from error


def _check_vacant(path: Path) -> None:
    if is_run(path):
        raise RunExists(path=path)
    names = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in names if name not in UNFINISHED and not name.endswith(".tmp")]
    if foreign:
        raise FolderNotEmpty(path=path, name=foreign[0])
