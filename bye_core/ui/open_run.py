"""An open run as pages need it: read once, kept while nothing on disk has changed, shared by all sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from bye_core import detect, runs
from bye_core.records import Decision, Detection, Sample, ScanTable
from bye_core.ui.session import Session
from bye_core.ui.workspace import Workspace

KEPT_VIEWS = 8
KEPT_DETECTIONS = 16


@dataclass
class RunView:
    """One run at one state of its scan; `stamp` tells one state from another."""

    path: Path
    stamp: tuple
    run: runs.Run
    _lock: Lock = field(default_factory=Lock, repr=False)
    _detections: dict[tuple, Detection] = field(default_factory=dict, repr=False)

    @cached_property
    def table(self) -> ScanTable:
        return self.run.table()

    @cached_property
    def samples(self) -> Mapping[str, Sample]:
        return {sample.id: sample for sample in self.run.samples()}

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Row of each scanned id in the table."""
        return {id: row for row, id in enumerate(self.table.ids)}

    def detection(self) -> Detection | None:
        """The run's own last detection, as every session and the command line see it."""
        return self.run.detection()

    def decisions(self) -> dict[str, Decision]:
        return self.run.decisions()

    def detect(self, method: str, settings: Mapping[str, Any]) -> Detection:
        """A detection on this state of the scan, not saved; the latest few are remembered."""
        key = (method, *sorted((name, _hashable(value)) for name, value in settings.items()))
        with self._lock:
            if key not in self._detections:
                while len(self._detections) >= KEPT_DETECTIONS:
                    del self._detections[next(iter(self._detections))]
                self._detections[key] = detect.detect(self.table, method, **settings)
            return self._detections[key]

    def truth_mask(self, poisoned: frozenset[str]) -> np.ndarray:
        """[N] bool, in the table's order."""
        return np.array([id in poisoned for id in self.table.ids], dtype=bool)


_views: dict[Path, RunView] = {}
_opening = Lock()


def open_view(path: Path) -> RunView:
    """The view of a run as it stands on disk now. Of each run only the latest is kept: a table may take 200 MB."""
    stamp = _state(path, runs.stamps(path).scan)
    with _opening:
        view = _views.pop(path, None)
        if view is None or view.stamp != stamp:
            same = view is not None and view.run.settings.created == stamp[-1]
            # The same run further on: it reads only what has been added.
            view = RunView(path, stamp, view.run if same else runs.Run.open(path))
        _views[path] = view
        while len(_views) > KEPT_VIEWS:
            del _views[next(iter(_views))]
    return view


@lru_cache(maxsize=4 * KEPT_VIEWS)
def _state(path: Path, scan: tuple) -> tuple:
    """Counted only when the files have changed: at 10,000 samples it takes 0.1 s."""
    run = runs.Run.open(path)
    return (*run.counts(), run.settings.created)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def open_run(place: Workspace, session: Session) -> runs.Run | None:
    """The run that the session looks at. Raises NoSuchRun where it is gone, or another visitor's."""
    return open_view(place.run_path(session.run)).run if session.run else None
