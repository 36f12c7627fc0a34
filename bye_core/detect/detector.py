"""The record by which a detector describes itself to the command line and the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bye_core.detect.errors import MissingInputs
from bye_core.records import Detection, ScanTable

# Optional fields of a ScanTable: what they hold, and how to get them.
INPUTS = {
    "mass": ("the attention of single heads", "Give a run instead of a file of entropies."),
    "hidden": ("the state behind the first token", "Scan again with this version, into a new run folder."),
    "nll_before": (
        "how likely the answers are before fine-tuning",
        "Scan again into a new run folder, with --answers and --adapter.",
    ),
}


def required(array: np.ndarray | None) -> np.ndarray:
    """Return an array that a detector `needs`; `detect` has checked that the table has it."""
    assert array is not None
    return array


@dataclass(frozen=True)
class Detector:
    """A method that finds poisoned samples.

    name      name on the command line and in saved detections
    title     name for people
    run       the function: a table and settings -> a detection
    settings  frozen dataclass of the settings, each declared with `settings.setting`
    values    what the `values` of its detections measure, and their `unit`
    needs     fields of ScanTable (see INPUTS) that it cannot do without, besides the layers' entropies
    wants     fields of ScanTable that it uses where they are present
    """

    name: str
    title: str
    run: Callable[[ScanTable, Any], Detection]
    settings: type
    values: str
    unit: str = ""
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()

    def missing_inputs(self, table: ScanTable) -> MissingInputs | None:
        """Return why the detector cannot run on this table; None if it can."""
        for name in self.needs:
            if getattr(table, name) is None:
                what, advice = INPUTS[name]
                return MissingInputs(method=self.name, what=what, advice=advice)
        return None
