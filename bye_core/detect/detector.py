"""The record by which a detector describes itself to the command line and the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bye_core.detect.errors import MissingInputs
from bye_core.records import Detection, ScanTable

BLOCK = 4096  # samples of a large table that are read at once

# Optional fields of a ScanTable: what they hold, and how to get them.
INPUTS = {
    "layer_entropy": ("entropies of the layers", "Scan again into a new run folder, with --dtype float32."),
    "mass": ("the attention of single heads", "Give a run instead of a file of entropies."),
    "hidden": ("the state behind the first token", "Scan again with this version, into a new run folder."),
    "nll_before": (
        "the likelihood of the answers before fine-tuning",
        "Scan again into a new run folder, with --answers and --adapter; a fully fine-tuned model with --before. Until "
        "then, use --method bye as well.",
    ),
}


def required(array: np.ndarray | None) -> np.ndarray:
    """Return an array that a detector `needs`. It is never None, because `detect` checks the table first."""
    assert array is not None
    return array


def known_rows(values: np.ndarray) -> np.ndarray:
    """Return [N] bool: the samples for which `values` [N, ...] holds a number."""
    axes = tuple(range(1, values.ndim))
    blocks = (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))
    return np.concatenate([np.isfinite(block).any(axis=axes) for block in blocks] or [np.zeros(0, bool)])


def layers_with_numbers(statistic: np.ndarray) -> np.ndarray:
    """Return the layers in which a statistic [N, L, ...] holds a number for any sample; all layers if none does.

    Shares of the depth count these layers only: a model may have layers without attention rows between the others.
    """
    known = np.isfinite(statistic).any(axis=(0, *range(2, statistic.ndim)))
    return np.flatnonzero(known) if known.any() else np.arange(statistic.shape[1])


@dataclass(frozen=True)
class Detector:
    """A method that detects poisoned samples.

    name      name on the command line and in saved detections
    title     name for people
    run       function from a table and settings to a detection
    settings  frozen dataclass of the settings, each declared with `settings.setting`
    values    what the `values` of its detections measure, and their `unit`
    needs     fields of ScanTable (see INPUTS) that it requires, besides the entropies of the layers
    wants     fields of ScanTable that it uses if they are present
    misses    sentence that says which poisoning it never sees
    fewest    smallest number of samples from which "no evidence" means something. The default is ours: with fewer, a
              poison rate of 5% leaves at most two poisoned samples
    """

    name: str
    title: str
    run: Callable[[ScanTable, Any], Detection]
    settings: type
    values: str
    unit: str = ""
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    misses: str = ""
    fewest: int = 50

    def missing_inputs(self, table: ScanTable) -> MissingInputs | None:
        """Return an error that says which inputs the table lacks; None if the detector can run on this table."""
        for name in self.needs:
            if getattr(table, name) is None:
                what, advice = INPUTS[name]
                return MissingInputs(method=self.name, what=what, advice=advice)
        return None
