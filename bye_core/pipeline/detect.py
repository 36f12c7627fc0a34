"""Detects poisoned samples from the statistics of a run. Needs no model."""

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
    """Run `method` on a run's statistics and save the detection in the run. `settings` are the method's settings."""
    run = runs.Run.open(run_path)
    detection = detect.detect(run.table(), method, **settings)
    run.save_detection(detection)
    return detection


def detect_once(run_path: Path) -> Detection:
    """Return the last detection if it covers all scanned samples; else detect anew with its method or the default."""
    run = runs.Run.open(run_path)
    found = run.detection()
    if found is None:
        return detect_run(run_path)
    return found if covers_all(found, run) else detect_run(run_path, found.method, **found.settings)


def covers_all(detection: Detection, run: runs.Run) -> bool:
    """Return whether the detection covers all scanned samples."""
    return set(detection.ids) == set(run.scored_ids())


def detect_entropies(path: Path, method: str = detect.default_method(entropy_file=True), **settings: Any) -> Detection:
    """Run `method` on a file of entropies (JSON lines), as written by the BYE authors' code or another program."""
    return detect.detect(detect.read_entropies(path), method, **settings)


def last_detection(run: runs.Run) -> Detection:
    """Return the run's last detection. Raises: NothingDetected if there is none."""
    detection = run.detection()
    if detection is None:
        raise NothingDetected(path=run.path)
    return detection
