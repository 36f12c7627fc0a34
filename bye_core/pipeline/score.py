"""Compares a detection with the known poisoned samples (ground truth), for evaluation only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bye_core import detect, runs
from bye_core.errors import DataError
from bye_core.pipeline.detect import last_detection


class UnreadableTruth(DataError):
    problem = "{path} is not a truth file: {reason}."
    remedy = 'Give the truth.json that `poison` wrote: {{"poisoned": [ids], ...}}.'


def read_truth(path: Path) -> frozenset[str]:
    """Return the ids of the poisoned samples in a truth file. Raises: UnreadableTruth if it is not a truth file."""
    try:
        poisoned = json.loads(path.read_text(encoding="utf-8"))["poisoned"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableTruth(path=path, reason=error) from error
    if not isinstance(poisoned, list):
        raise UnreadableTruth(path=path, reason="`poisoned` is not a list")
    return frozenset(map(str, poisoned))


def score_run(run_path: Path, truth: Path) -> dict[str, Any]:
    """Return precision, recall, F1 and AUC of the run's last detection against a truth file."""
    return detect.score(last_detection(runs.Run.open(run_path)), read_truth(truth))
