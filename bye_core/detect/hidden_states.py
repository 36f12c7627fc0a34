"""Reads the hidden states of a table for the detectors that use them."""

from __future__ import annotations

import numpy as np

from bye_core.detect.detector import required
from bye_core.records import ScanTable


def known_states(table: ScanTable) -> tuple[np.ndarray, np.ndarray]:
    """Return (states of the M samples that have one [M, D] float32, which samples have one [N] bool)."""
    hidden = required(table.hidden)
    known = np.asarray(np.isfinite(hidden).all(axis=1))
    return np.asarray(hidden[known], np.float32), known


def missing_reasons(known: np.ndarray) -> tuple[str, ...]:
    """Return a tuple with one sentence on the samples without hidden states; an empty tuple if all have one."""
    count = int((~known).sum())
    return (f"{count:,} samples lack what this method looks at and were not judged: scan them again.",) if count else ()
