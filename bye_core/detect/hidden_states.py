"""Reads the hidden states of a table for the detectors that use them."""

from __future__ import annotations

import numpy as np

from bye_core.detect.detector import required
from bye_core.records import ScanTable
from bye_core.text import count


def known_states(table: ScanTable) -> tuple[np.ndarray, np.ndarray]:
    """Return (states of the M samples that have one [M, D] float32, which samples have one [N] bool)."""
    hidden = required(table.hidden)
    known = np.asarray(np.isfinite(hidden).all(axis=1))
    return np.asarray(hidden[known], np.float32), known


def missing_reasons(known: np.ndarray) -> tuple[str, ...]:
    """Return a tuple with one sentence on the samples without hidden states; an empty tuple if all have one."""
    missing = int((~known).sum())
    if not missing:
        return ()
    return (f"The run stores no hidden state for {count(missing, 'sample')}, so the method skipped them; scan again.",)
