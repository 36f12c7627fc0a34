"""Opens runs for the pages. A run is read once for all sessions, and read again when its files change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
from cachetools import LRUCache

from bye_core import runs
from bye_core.pipeline.detect import detect_scan
from bye_core.records import NO_EVIDENCE, POISONED, Decision, Detection, Sample, ScanTable
from bye_core.runs.decision_file import Batch, Undo
from bye_core.runs.errors import NotScanned
from bye_core.sample_file import ids_of
from bye_core.text import verdict_words
from bye_core.ui.session import Session
from bye_core.ui.shared import sample_queue
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.sample_evidence import Evidence
from bye_core.ui.workspace import workspace_of

KEPT_RUNS = 8
KEPT_RESULTS = 16  # of each run


@dataclass(eq=False)
class OpenRun:
    """An opened run, with its scan and detection at that time. Decisions are read from disk at each call.

    Every sample has a position in the run's list, which never changes. A scanned sample also has a row in the table.

    scan     sample counts, creation time, and the statement on the fine-tuning; changes when the scan changes
    stamp    changes when the scan or the detection changes
    results  cached results that depend on the scan alone
    """

    run: runs.Run
    scan: tuple
    stamp: str
    results: Cache = field(default_factory=lambda: Cache(KEPT_RESULTS), repr=False)
    _decisions: tuple[Hashable, Mapping[str, Decision]] = field(default=(None, MappingProxyType({})), repr=False)
    _history: tuple[Hashable, tuple[tuple[Batch, Undo | None], ...]] = field(default=(None, ()), repr=False)
    _disputed: tuple[Hashable, frozenset[str]] = field(default=(None, frozenset()), repr=False)

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def settings(self) -> runs.RunSettings:
        return self.run.settings

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples of the run; the index is the position."""
        return self.run.samples()

    @cached_property
    def table(self) -> ScanTable:
        return self.run.table()

    @cached_property
    def detection(self) -> Detection | None:
        """The last detection saved in the run, by the page or by the command line; None if there is none."""
        return self.run.detection()

    @cached_property
    def columns(self) -> sample_queue.Columns:
        return sample_queue.columns(self.table, self.detection)

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.table, self.detection, self.columns)

    @cached_property
    def position_of(self) -> Mapping[str, int]:
        return {id: position for position, id in enumerate(ids_of(self.samples))}

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        return {id: row for row, id in enumerate(self.table.ids)}

    @cached_property
    def positions(self) -> np.ndarray:
        """[N] positions of the scanned samples, in ascending order."""
        return self.run.table_positions().astype(np.uint32)

    def row(self, position: int) -> int:
        """Return the table row of the sample at `position`. Raises: NotScanned if the sample has no row."""
        row = int(np.searchsorted(self.positions, position))
        if row == len(self.positions) or self.positions[row] != position:
            raise NotScanned(id=self.samples[position].id)
        return row

    def detect(self, method: str, settings: Mapping[str, Any]) -> Detection:
        """Return a detection on the scan, without saving it."""
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
        key = ("detection", method, *sorted(values.items()))
        return self.results.get(key, lambda: detect_scan(self.run, self.table, method, **settings))

    def decisions(self) -> Mapping[str, Decision]:
        """Return the decisions that are on disk now, by sample id."""
        stamp, decisions = runs.stamps(self.path).decisions, self._decisions
        if decisions[0] != stamp:
            self._decisions = decisions = stamp, MappingProxyType(self.run.decisions())
        return decisions[1]

    def choices(self) -> np.ndarray:
        """[N] UNDECIDED, ACCEPTED or REJECTED (of sample_queue) for each row, from the decisions on disk now."""
        return sample_queue.choices(self.columns, self.decisions(), self.row_of)

    def history(self) -> tuple[tuple[Batch, Undo | None], ...]:
        """Return all batches of decisions that are on disk now, oldest first, each with its undo or None."""
        stamp, history = runs.stamps(self.path).decisions, self._history
        if history[0] != stamp:
            self._history = history = stamp, tuple(self.run.history())
        return history[1]

    def disputed(self) -> np.ndarray:
        """[N] bool by row: whether reviewers of different names decided the sample differently, on disk now."""
        stamp, disputed = runs.stamps(self.path).decisions, self._disputed
        if disputed[0] != stamp:
            batches = (batch.decisions for batch, undo in self.history() if undo is None)
            self._disputed = disputed = stamp, sample_queue.disputed_ids(batches)
        rows = [self.row_of[id] for id in disputed[1] if id in self.row_of]
        found = np.zeros(len(self.table.ids), bool)
        found[rows] = True
        return found

    def marks(self) -> np.ndarray:
        """Return the state of every sample, scanned or not, as uint8 by position: sample_queue.marks, or UNSCANNED."""
        bits = np.full(len(self.samples), sample_queue.UNSCANNED, np.uint8)
        bits[self.positions] = sample_queue.marks(self.columns, self.choices(), self.disputed())
        return bits

    def mask(self, ids: frozenset[str]) -> np.ndarray:
        """Return [N] bool by row: whether the id of the sample is in `ids`."""
        return np.array([id in ids for id in self.table.ids], dtype=bool)


_latest: LRUCache[Path, tuple[tuple, OpenRun]] = LRUCache(KEPT_RUNS)
_opening = Lock()


def open_run(path: Path) -> OpenRun:
    """Return the current state of the run on disk. Only the latest state stays in memory: a table may take 200 MB."""
    stamps = runs.stamps(path)
    files = stamps.scan, stamps.detection
    with _opening:
        known, opened = _latest.get(path, (None, None))
        if opened is None or known != files:
            opened = _opened(path, stamps.detection, opened)
            _latest[path] = files, opened
        return opened


def session_run(session: Session) -> runs.Run | None:
    """Return the session's open run or None. Raises: NoSuchRun if it is not in the visitor's workspace."""
    return open_run(workspace_of(session.visitor).run_path(session.run)).run if session.run else None


def _opened(path: Path, detection: tuple, before: OpenRun | None) -> OpenRun:
    """Open the run again. Reuse the parts of `before`, its last opened state, that are still valid."""
    run = runs.Run.open(path)
    if before is not None and before.settings == run.settings:
        run = before.run  # reads only the samples that were added to the scan
    scan = (*run.counts(), run.settings.created, run.settings.tuned_on_this_data)
    stamp = f"{hash((path, scan, detection)):x}"
    if before is None or before.scan != scan:
        return OpenRun(run, scan, stamp)
    return before if before.stamp == stamp else OpenRun(run, scan, stamp, before.results)


def verdict(detection: Detection | None) -> tuple[str, str]:
    """Return the verdict in words and its kind: "poisoned", "clean" or "open"."""
    if detection is None:
        return "No detection yet", "open"
    words = verdict_words(detection.verdict, int(detection.flagged.sum()), len(detection.ids))
    return words, {POISONED: "poisoned", NO_EVIDENCE: "clean"}.get(detection.verdict, "open")
