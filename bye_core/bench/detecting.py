"""Every detector on a finished cell; what it found is kept until the cell or a detector's code changes."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import bye_core.detect
from bye_core import pipeline
from bye_core.bench.work import read_json, write_json
from bye_core.detect import DETECTORS
from bye_core.errors import ByeError

DETECTIONS = "detections.json"
SCORES = ("precision", "recall", "f1", "auc", "tp", "fp", "fn")


def detections(place: Path) -> dict[str, dict[str, Any]]:
    """Method -> verdict, flagged and scores against the truth on the cell in `place`, or why it was `skipped`."""
    code, kept = code_digest(), {}
    if (place / DETECTIONS).is_file() and (stored := read_json(place / DETECTIONS))["code"] == code:
        kept = stored["methods"]
    found = {method: kept.get(method) or _tried(method, place) for method in DETECTORS}
    if found != kept:
        write_json(place / DETECTIONS, {"code": code, "methods": found})
    return found


def code_digest() -> str:
    """Of the source of all detectors."""
    digest = hashlib.sha256()
    for path in sorted(Path(bye_core.detect.__file__).parent.rglob("*.py")):
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
    return {**facts, **{name: scores[name] for name in SCORES}, "seconds": round(seconds, 2)}
