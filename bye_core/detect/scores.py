"""A detection against the truth: for evaluation only, no detector may use it (design, law 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from bye_core.records import Detection


def score(detection: Detection, poisoned_ids: Iterable[str | int]) -> dict[str, Any]:
    """Precision, recall, F1 and AUC over the scanned samples; None where a class is empty and none is defined.

    Ids are compared as text. Poisoned samples that were never scanned are no misses of the detector:
    they are listed under `unscanned` and count in `n_poisoned` only, so n_poisoned = tp + fn + len(unscanned).
    """
    poisoned = {str(id) for id in poisoned_ids}
    truth = np.array([id in poisoned for id in detection.ids], bool)
    flagged = np.asarray(detection.flagged, bool)
    tp, fp = int((truth & flagged).sum()), int((~truth & flagged).sum())
    fn, tn = int((truth & ~flagged).sum()), int((~truth & ~flagged).sum())
    both = bool(truth.any() and not truth.all())
    return {
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
        "auc": float(roc_auc_score(truth, detection.scores)) if both else None,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "n": len(truth),
        "n_poisoned": len(poisoned),
        "unscanned": sorted(poisoned.difference(detection.ids)),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
