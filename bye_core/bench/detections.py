"""Runs every detector on a finished cell. Stored results are reused until the code of detectors or evidence changes."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import bye_core
from bye_core import pipeline
from bye_core.bench.cell import WAIT_SECONDS, read_json, write_json
from bye_core.bench.evidence_score import score_evidence
from bye_core.detect import DETECTORS
from bye_core.errors import ByeError
from bye_core.runs.lock import locked

DETECTIONS = "detections.json"
CODE = ("detect", "evidence")
SCORES = ("precision", "recall", "f1", "auc", "tp", "fp", "fn")


def detections(place: Path) -> dict[str, dict[str, Any]]:
    """Return the result of each detector on the cell in `place`, by the detector's name.

    A result holds the verdict, the number of flagged samples, the scores against the truth and the scores of the
    evidence. If the detector could not run, it holds only the reason, as `skipped`.
    """
    code, kept = code_digest(), {}
    # The score is that of the last detection of the run, which another process may overwrite.
    with locked(place / "detect.lock", WAIT_SECONDS):
        if (place / DETECTIONS).is_file() and (stored := read_json(place / DETECTIONS))["code"] == code:
            kept = stored["methods"]
        results = {method: kept.get(method) or _run_detector(method, place) for method in DETECTORS}
        if results != kept:
            write_json(place / DETECTIONS, {"code": code, "methods": results})
    return results


def code_digest() -> str:
    """Return one SHA-256 digest of the source code of the packages in CODE."""
    digest = hashlib.sha256()
    for part in CODE:
        for path in sorted((Path(bye_core.__file__).parent / part).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _run_detector(method: str, place: Path) -> dict[str, Any]:
    """Run a detector with its default settings; return its result, or {"skipped": reason} if it cannot run."""
    began = time.monotonic()
    try:
        detection = pipeline.detect_run(place / "run", method)
    except ByeError as error:
        return {"skipped": error.problem}
    seconds = time.monotonic() - began
    scores = pipeline.score_run(place / "run", place / "data" / pipeline.TRUTH)
    facts = {"verdict": detection.verdict, "flagged": int(detection.flagged.sum()), "samples": len(detection.ids)}
    facts |= {name: scores[name] for name in SCORES}
    evidence = score_evidence(place) if facts["verdict"] == "poisoned" else {}
    return {**facts, "seconds": round(seconds, 2), **evidence}
