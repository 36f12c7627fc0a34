"""The full look at a data set, every picture decoded: how far it got is kept for all who open the set. No gradio."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from bye_core import pipeline
from bye_core.data import DataSet
from bye_core.records import Fault

KEPT = 32


@dataclass(frozen=True)
class Checked:
    """How far the samples of a set have been looked into, and what was found in records and pictures."""

    done: int
    total: int
    faults: tuple[Fault, ...]

    @property
    def complete(self) -> bool:
        return self.done >= self.total

    def bad(self) -> set[int]:
        """The records that cannot be used."""
        return {fault.index for fault in self.faults if fault.fatal}


_kept: OrderedDict[tuple[str, str], Checked] = OrderedDict()
_lock = Lock()


def checked(dataset: DataSet) -> Checked:
    """What is known by now: the records' own faults, and what a full look has found."""
    with _lock:
        found = _kept.get(_key(dataset))
    return found or Checked(0, len(dataset.samples), dataset.faults)


def look(dataset: DataSet, path: str, format: str | None, columns: dict[str, str] | None) -> Iterator[Checked]:
    """Look at every sample, as the command line does; leaving the loop stops it, what was found by then is kept."""
    faults: list[Fault] = []
    for step in pipeline.check(path, format, columns):
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
