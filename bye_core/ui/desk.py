"""An open run at Review: the run's view with its last detection, kept while neither changes on disk. No gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType

import numpy as np

from bye_core import runs
from bye_core.records import Decision, Detection, Sample
from bye_core.runs import RunSettings
from bye_core.runs.errors import NotScanned
from bye_core.ui.open_run import KEPT_VIEWS, RunView, open_view
from bye_core.ui.shared import sample_queue
from bye_core.ui.shared.sample_evidence import Evidence

# A mark of samples that no scan has reached.
UNSCANNED = 255


@dataclass(frozen=True)
class Desk:
    """`position`: a sample's place in the run's list, which never changes; `row`: its place among the scanned ones."""

    view: RunView
    detection: Detection | None
    stamp: str

    @cached_property
    def columns(self) -> sample_queue.Columns:
        return sample_queue.columns(self.view.table, self.detection)

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.view.table, self.detection, self.columns)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return self.view.run.samples()

    @property
    def settings(self) -> RunSettings:
        return self.view.run.settings

    @cached_property
    def position_of(self) -> dict[str, int]:
        return {sample.id: position for position, sample in enumerate(self.samples)}

    @cached_property
    def positions(self) -> np.ndarray:
        """[N] position of every scanned sample, ascending."""
        return np.array([self.position_of[id] for id in self.view.table.ids], np.uint32)

    def row(self, position: int) -> int:
        """Raises NotScanned."""
        row = int(np.searchsorted(self.positions, position))
        if row == len(self.positions) or self.positions[row] != position:
            raise NotScanned(id=self.samples[position].id)
        return row

    def decisions(self) -> Mapping[str, Decision]:
        """As they are on disk now."""
        return _decisions(self.view.path, runs.stamps(self.view.path).decisions)

    def choices(self) -> np.ndarray:
        """[N] of queue.UNDECIDED, ACCEPTED, REJECTED, likewise."""
        return sample_queue.choices(self.columns, self.decisions(), self.view.place)

    def marks(self) -> np.ndarray:
        """uint8 by position: every sample's state in bits, or UNSCANNED."""
        bits = np.full(len(self.samples), UNSCANNED, np.uint8)
        bits[self.positions] = sample_queue.marks(self.columns, self.choices())
        return bits


_desks: dict[Path, Desk] = {}
_opening = Lock()


def open_desk(path: Path) -> Desk:
    """The run as it stands on disk now; of each run only the latest is kept."""
    view, detected = open_view(path), runs.stamps(path).detection
    stamp = f"{hash((path, view.stamp, detected)):x}"
    with _opening:
        desk = _desks.pop(path, None)
        if desk is None or desk.view is not view or desk.stamp != stamp:
            desk = Desk(view, view.detection(), stamp)
        _desks[path] = desk
        while len(_desks) > KEPT_VIEWS:
            del _desks[next(iter(_desks))]
    return desk


@lru_cache(maxsize=8)
def _decisions(path: Path, stamp: tuple) -> Mapping[str, Decision]:
    return MappingProxyType(runs.Run.open(path).decisions())
