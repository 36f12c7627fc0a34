"""Every detector on a finished cell; what it found is kept until the code of detectors or evidence changes."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import bye_core
from bye_core import pipeline
from bye_core.bench.cell import WAIT_SECONDS, read_json, write_json
from bye_core.bench.evidence_score import explained
from bye_core.detect import DETECTORS
from bye_core.errors import ByeError
from bye_core.runs.lock import locked

DETECTIONS = "detections.json"
CODE = ("detect", "evidence")
SCORES = ("precision", "recall", "f1", "auc", "tp", "fp", "fn")


def detections(place: Path) -> dict[str, dict[str, Any]]:
    """Of the cell in `place`: method -> verdict, flagged, scores against the truth and what the evidence names, or why
    it was `skipped`."""
    code, kept = code_digest(), {}
    # What is scored is the run's last detection: another process may be at the same.
    with locked(place / "detect.lock", WAIT_SECONDS):
        if (place / DETECTIONS).is_file() and (stored := read_json(place / DETECTIONS))["code"] == code:
            kept = stored["methods"]
        found = {method: kept.get(method) or _tried(method, place) for method in DETECTORS}
        if found != kept:
            write_json(place / DETECTIONS, {"code": code, "methods": found})
    return found


def code_digest() -> str:
    """Of the source of all detectors and of what finds evidence."""
    digest = hashlib.sha256()
    for part in CODE:
        for path in sorted((Path(bye_core.__file__).parent / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _tried(method: str, place: Path) -> dict[str, Any]:
    """With the detector's own settings. What it refuses, for want of what it needs, is told and no failure."""
    began = time.monotonic()
    try:
        detection = pipeline.detect_run(place / "run", method)
    except ByeError as error:
        return {"skipped": error.problem}
    seconds = time.monotonic() - began
    scores = pipeline.score_run(place / "run", place / "data" / pipeline.TRUTH)
    facts = {"verdict": detection.verdict, "flagged": int(detection.flagged.sum()), "samples": len(detection.ids)}
    facts |= {name: scores[name] for name in SCORES}
    why = explained(place) if facts["verdict"] == "poisoned" else {}
    return {**facts, "seconds": round(seconds, 2), **why}
