"""Checks all records and images of a data set. All sessions that open the set share the results."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from bye_core import pipeline
from bye_core.data import DataSet
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.records import Fault

KEPT = 32


@dataclass(frozen=True)
class Checked:
    """The number of checked samples (`done` of `total`), and the faults of records and images."""

    done: int
    total: int
    faults: tuple[Fault, ...]

    @property
    def complete(self) -> bool:
        return self.done >= self.total

    def unusable(self) -> set[int]:
        """Return the indices of the records that cannot be used."""
        return {fault.index for fault in self.faults if fault.fatal}


_kept: OrderedDict[tuple[str, str], Checked] = OrderedDict()
_lock = Lock()


def checked(dataset: DataSet) -> Checked:
    """Return the results of the last check, or the faults that loading found if no check was started."""
    with _lock:
        state = _kept.get(_key(dataset))
    return state or Checked(0, len(dataset.samples), dataset.faults)


def check(dataset: DataSet, path: str, reading: ReadingOptions = AUTOMATIC) -> Iterator[Checked]:
    """Check every sample as `bye_core check` does, and yield the results so far.

    The check ends when the caller stops iterating. The results up to then are stored.
    """
    faults: list[Fault] = []
    for step in pipeline.check(path, reading):
        faults += step.facts["faults"]
        state = Checked(step.done, step.total, tuple(faults))
        _keep(dataset, state)
        yield state


def _keep(dataset: DataSet, state: Checked) -> None:
    with _lock:
        _kept[_key(dataset)] = state
        _kept.move_to_end(_key(dataset))
        while len(_kept) > KEPT:
            _kept.popitem(last=False)


def _key(dataset: DataSet) -> tuple[str, str]:
    return str(dataset.root), dataset.digest
