"""Finished cells as the tables take them, with hand-written figures."""

from bye_core.bench.matrix import CLEAN, Cell


def detected(f1=None, verdict="poisoned", precision=1.0, recall=1.0, auc=1.0, flagged=90, **why):
    """What a detector made of a poisoned cell; of a clean one where `f1` is None."""
    if f1 is None:
        precision = recall = auc = None
    scores = {"precision": precision, "recall": recall, "f1": f1, "auc": auc}
    return {"verdict": verdict, "flagged": flagged, "samples": 900, **scores, "seconds": 0.1, **why}


def row(attack, asr, detectors, **cell):
    """One finished cell; `asr` is None for a clean one."""
    rate = 0.0 if attack == CLEAN else 0.1
    made = Cell(**{"attack": attack, "rate": rate, "mix": "mixed", "samples": 900, "epochs": 4.0, "seed": 2000, **cell})
    tuned = {"cp": 0.97, "cp_interval": [0.94, 0.99]}
    tuned |= {} if asr is None else {"asr": asr, "asr_interval": [max(0, asr - 0.02), asr]}
    return {
        "cell": made.record(),
        "name": made.name,
        "base": {"cp": 1.0, "cp_interval": [0.98, 1.0]},
        "tuned": tuned,
        "training": {"steps": 452, "loss": 0.1, "seconds": 660.0},
        "detectors": detectors,
    }
