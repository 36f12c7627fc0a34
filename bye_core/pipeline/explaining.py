"""Why a run's samples are flagged, as plain facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.pipeline.causing import causes
from bye_core.pipeline.deciding import last_detection
from bye_core.pipeline.dossiers import dossier


def evidence(run_path: Path) -> dict[str, Any]:
    """The dossier of a run's last detection, and what a causal check found. Raises NothingDetected."""
    run = runs.Run.open(run_path)
    detection, told = last_detection(run), dossier(run)
    return {
        "verdict": detection.verdict,
        "method": detection.method,
        "reasons": list(detection.reasons),
        **told.facts(),
        "causes": causes(run, told),
    }
