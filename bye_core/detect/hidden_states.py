"""The hidden states of a table as a matrix that linear algebra can take."""

from __future__ import annotations

import numpy as np

from bye_core.records import ScanTable


def known_states(table: ScanTable) -> tuple[np.ndarray, np.ndarray]:
    """States of the samples that have one [M, D] float32, and which samples those are [N] bool."""
    known = np.isfinite(table.hidden).all(axis=1)
    return np.asarray(table.hidden[known], np.float32), known


def missing_reasons(known: np.ndarray) -> tuple[str, ...]:
    count = int((~known).sum())
    return (f"{count} samples lack what this method looks at and were not judged: scan them again.",) if count else ()
