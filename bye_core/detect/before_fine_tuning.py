"""Tells what fine-tuning taught a model to see from what it saw before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bye_core.detect.prediction import predict
from bye_core.records import ScanTable

# Fine-tuning has taught the model to see what marks a group if its attention confuses members and other samples at
# least CLEARER times less often than that of the model before. On development sets, this number was at most 2 for
# honest answers to blurry images and to images without shapes, 65 for a patch, and 2 for a sinusoidal signal, which the
# model sees from the start. Rates below SMALLEST cannot be told from 0 (ours).
CLEARER, SMALLEST = 10.0, 0.005


def clearer_by_fine_tuning(
    table: ScanTable, kinds: np.ndarray, members: np.ndarray, apart: np.ndarray, used: np.ndarray, seed: int
) -> float | None:
    """Return how many times less often the attention confuses a group with other samples than before fine-tuning.

    members  [N] bool, the group
    apart    [N] bool, samples that are neither members nor ordinary
    used     [N] bool, the samples that are compared
    Returns None if the scan did not read the attention of the model before fine-tuning, or if nothing can be compared.
    Source: ours.
    """
    if table.entropy_before is None or not (used & members).any() or not (used & ~members & ~apart).any():
        return None
    before = replace(table, entropy=table.entropy_before, peak=table.peak_before, mass=table.mass_before)
    rates = (_confusion(own, kinds, members, apart, used, seed) for own in (before, table))
    earlier, later = (max(rate, SMALLEST) for rate in rates)
    return earlier / later


def _confusion(
    table: ScanTable, kinds: np.ndarray, members: np.ndarray, apart: np.ndarray, used: np.ndarray, seed: int
) -> float:
    """Return how often an ordinary sample has more of a member's attention than a member has (1 - AUC)."""
    # Imported on use, because it takes a second.
    from sklearn.metrics import roc_auc_score

    places = predict(table, used, members, apart, kinds, seed).places
    compared = used & ~apart
    places = np.where(np.isfinite(places), places, 0.0)[compared]
    return 1 - float(roc_auc_score(members[compared], places))
