"""Scores a detection against the ground truth. For evaluation only: no detector may use it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from bye_core.records import Detection


def score(detection: Detection, poisoned_ids: Iterable[str | int]) -> dict[str, Any]:
    """Return precision, recall, F1 and AUC over the scanned samples; None for a measure if one class is empty.

    Ids are compared as text. A poisoned sample that was not scanned does not count as a miss. It is listed under
    `unscanned` and counts only in `n_poisoned`, so n_poisoned = tp + fn + len(unscanned).
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

    poisoned = {str(id) for id in poisoned_ids}
    truth = np.array([id in poisoned for id in detection.ids], bool)
    flagged = np.asarray(detection.flagged, bool)
    counts, shares = np.zeros(4, int), (math.nan,) * 3
    if len(truth):  # scikit-learn refuses empty arrays
        counts = confusion_matrix(truth, flagged, labels=[False, True]).ravel()
        shares = precision_recall_fscore_support(truth, flagged, average="binary", zero_division=np.nan)[:3]
    tn, fp, fn, tp = counts.tolist()
    precision, recall, f1 = (None if math.isnan(value) else float(value) for value in shares)
    both = bool(truth.any() and not truth.all())
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "auc": float(roc_auc_score(truth, detection.scores)) if both else None,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "n": len(truth),
        "n_poisoned": len(poisoned),
        "unscanned": sorted(poisoned.difference(detection.ids)),
    }
