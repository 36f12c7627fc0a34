"""A run folder: what was scanned, with what, what came out, and what a person decided.

    run.json          settings; written last, so a folder without it is not a run yet
    samples.jsonl     the samples as they were when the run began
    shards/00000.bin  what the model looks at, append-only
    index.sqlite      which samples are scored and where, which failed
    statistics/       derived: the numbers of all samples, stacked, mapped where they are read
    detection.json    the last detection
    decisions.jsonl   what a person decided, append-only
    checks.jsonl      what a model answered when a suspected spot was covered, append-only

One process writes the scan at a time; any number may read, detect and decide meanwhile.
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
from bye_core.runs.checks_file import CheckFile
from bye_core.runs.decisions import Batch, DecisionFile
from bye_core.runs.detection_file import dump_detection, load_detection
from bye_core.runs.errors import DamagedRun, FolderNotEmpty, NotARun, RunExists, RunMismatch, RunNotWritable
from bye_core.runs.lock import locked
from bye_core.runs.samples_file import dump_samples, load_samples
from bye_core.runs.settings import RunSettings
from bye_core.runs.shards import SHARD_BYTES
from bye_core.runs.store import INDEX_FILES, LOCK, SHARDS, Store, create_store

SETTINGS, SAMPLES, DETECTION, DECISIONS = "run.json", "samples.jsonl", "detection.json", "decisions.jsonl"
CHECKS = "checks.jsonl"

# What a creation that was cut off may have left behind.
UNFINISHED = {SAMPLES, SHARDS, LOCK, *INDEX_FILES, f"{INDEX_FILES[0]}-journal"}

ELSEWHERE = "Or scan into a new folder."


def is_run(path: Path | str) -> bool:
    return (Path(path) / SETTINGS).is_file()


class Stamps(NamedTuple):
    """Each changes whenever that part of a run changes on disk."""

    scan: tuple
    detection: tuple
    decisions: tuple
    checks: tuple


def stamps(path: Path | str) -> Stamps:
    """A look at the files, no reading: tells cheaply whether what was read before is still so."""
    settings, index, log, detection, decisions, checks = (
        _stamp(Path(path) / name) for name in (SETTINGS, *INDEX_FILES[:2], DETECTION, DECISIONS, CHECKS)
    )
    # A reader makes and deletes an empty log beside the index: only what is in it counts.
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
    """Get one by `create`, `open` or `prepare`. Holds nothing open except inside `writing`: no need to close it."""

    def __init__(self, path: Path, settings: RunSettings, samples_digest: str) -> None:
        self.path = path
        self.settings = settings
        self._samples_digest = samples_digest
        self._store = Store(path, self.samples)
        self._decisions = DecisionFile(path / DECISIONS)
        self._checks = CheckFile(path / CHECKS)

    @classmethod
    def create(cls, path: Path | str, settings: RunSettings, samples: Sequence[Sample]) -> Run:
        """Begin a run in a new or empty folder."""
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
        """Open the run to go on with it, if these settings and samples allow; create it where there is none."""
        if not is_run(path):
            return cls.create(path, settings, samples)
        run = cls.open(path)
        run.check(settings, samples)
        return run

    def check(self, settings: RunSettings, samples: Sequence[Sample] | None = None) -> None:
        """RunMismatch if rows read under `settings` (from `samples`) do not belong in this run."""
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
        """All samples of the run, in data set order, as they were when it began."""
        return self._snapshot

    def sample(self, id: str) -> Sample:
        return self._snapshot[self._store.position(id)]

    @contextmanager
    def writing(self, shard_bytes: int = SHARD_BYTES) -> Iterator[Run]:
        """Be the one writer of the scan; what a killed writer left half done is cut off first."""
        with self._store.writing(shard_bytes):
            yield self

    def append(self, rows: Sequence[AttentionRows], faults: Sequence[Fault] = ()) -> tuple[str, ...]:
        """Commit one batch, all or nothing; returns the ids newly stored. A sample stored before is left as it is."""
        return self._store.append(rows, faults)

    def counts(self) -> Counts:
        return Counts(*self._store.counts(), len(self.samples()))

    def scored_ids(self) -> frozenset[str]:
        """Which samples need no scan any more: ask once per scan, not once per sample."""
        return self._store.scored_ids()

    def failed(self) -> tuple[Fault, ...]:
        """Why samples could not be scored, in data set order; a sample scored later is not listed any more."""
        return tuple(fault for fault in self.faults() if fault.fatal)

    def faults(self) -> tuple[Fault, ...]:
        """The failed, and what else was reported but did no harm."""
        return self._store.faults()

    def damaged(self) -> tuple[str, ...]:
        """Samples whose stored rows failed their checksum and that wait to be scanned again."""
        return self._store.damaged()

    def rows(self, id: str) -> AttentionRows:
        return self._store.rows(id)

    def rows_of(self, ids: Iterable[str]) -> Iterator[AttentionRows]:
        """The rows of several samples, in that order; those not scanned or damaged are left out."""
        return self._store.rows_of(ids)

    def table(self) -> ScanTable:
        """The statistics of what is scored so far, in data set order; damaged samples are left out."""
        return self._store.table()

    def verify(self) -> tuple[str, ...]:
        """Read everything and compare checksums; returns `damaged` afterwards."""
        return self._store.verify()

    def decide(self, decisions: Iterable[Decision]) -> str:
        """Append one batch of decisions and return its id; it is on disk when this returns."""
        decisions = tuple(decisions)
        for decision in decisions:
            self._store.position(decision.id)
        return self._decisions.decide(decisions)

    def undo(self, batch: str = "") -> Batch | None:
        """Withdraw the newest batch of decisions that still stands, or the one named; None where it does not stand.

        Naming it keeps several people who review one run from withdrawing each other's decisions.
        """
        return self._decisions.undo(batch)

    def batches(self) -> list[Batch]:
        """The batches of decisions that still stand, oldest first."""
        return self._decisions.standing()

    def decisions(self) -> dict[str, Decision]:
        """The decision that stands for each id; samples without one, or with "none", are not in it."""
        return self._decisions.current()

    def checking(self) -> AbstractContextManager[CheckFile]:
        """Be the one that adds causal checks: what `append` is given is on disk when it returns. Raises RunBusy."""
        return self._checks.writing()

    def checks(self) -> dict[str, CausalCheck]:
        """The newest causal check of each sample, whatever it was about: see its `key`."""
        return self._checks.current()

    def save_detection(self, detection: Detection) -> None:
        try:
            write_atomic(self.path / DETECTION, dump_detection(detection))
        except OSError as error:
            raise RunNotWritable(path=self.path, reason=error.strerror) from error

    def detection(self) -> Detection | None:
        """The last detection, None before the first."""
        path = self.path / DETECTION
        if not path.exists():
            return None
        try:
            return load_detection(path.read_bytes())
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            advice = "Or run `detect` again: it is made anew from the scan."
            raise DamagedRun(file=DETECTION, detail=error, advice=advice) from error


def _check_vacant(path: Path) -> None:
    if is_run(path):
        raise RunExists(path=path)
    names = sorted(item.name for item in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in names if name not in UNFINISHED and not name.endswith(".tmp")]
    if foreign:
        raise FolderNotEmpty(path=path, name=foreign[0])
