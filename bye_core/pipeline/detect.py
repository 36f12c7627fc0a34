"""From a run to a verdict and a person's decisions on it; no model is needed any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bye_core import detect, runs
from bye_core.errors import RunError
from bye_core.records import Detection


class NothingDetected(RunError):
    problem = "The run {path} holds no detection yet."
    remedy = "Run `python -m bye_core detect --run {path}` first."


def detect_run(run_path: Path, method: str = detect.DEFAULT, **settings: Any) -> Detection:
    """Detect on a run's statistics and keep the result in the run. Settings are the method's own."""
    run = runs.Run.open(run_path)
    detection = detect.detect(run.table(), method, **settings)
    run.save_detection(detection)
    return detection


def detect_once(run_path: Path) -> Detection:
    """The run's detection on all that is scanned; where there is none, one in the way of the last, else the default."""
    run = runs.Run.open(run_path)
    found = run.detection()
    if found is None:
        return detect_run(run_path)
    return found if covers_all(found, run) else detect_run(run_path, found.method, **found.settings)


def covers_all(detection: Detection, run: runs.Run) -> bool:
    return set(detection.ids) == set(run.scored_ids())


def detect_entropies(path: Path, method: str = detect.default_method(entropy_file=True), **settings: Any) -> Detection:
    """Detect on a BYE entropy JSONL: scores of another program, no run and no model needed."""
    return detect.detect(detect.read_entropies(path), method, **settings)


def last_detection(run: runs.Run) -> Detection:
    """Raises NothingDetected."""
    detection = run.detection()
    if detection is None:
        raise NothingDetected(path=run.path)
    return detection
