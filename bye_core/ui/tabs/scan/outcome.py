"""Says what a scan found: a sentence while it runs, and the verdict after its end."""

from __future__ import annotations

from bye_core.records import Detection
from bye_core.ui.open_run import verdict
from bye_core.ui.shared.messages import note
from bye_core.ui.shared.obstacles import UNFINISHED, obstacle_html


def so_far(detection: Detection) -> str:
    """Return a sentence on the samples scanned so far. It is no verdict, because more samples follow."""
    flagged, scanned = int(detection.flagged.sum()), len(detection.ids)
    words = f"So far: {flagged:,} of {scanned:,} samples flagged{_by_layers(detection)}."
    reasons = [obstacle.reason for obstacle in detection.obstacles if obstacle.kind not in UNFINISHED]
    return f"{words} {reasons[0]}" if reasons and not flagged else words


def result(detection: Detection, run: str) -> str:
    """Return the HTML of the verdict on a finished scan, with the reason if the data set was not tested."""
    words, _ = verdict(detection)
    return note(f"{words}{_by_layers(detection)}.") + obstacle_html(detection, run)


def _by_layers(detection: Detection) -> str:
    layers = ", ".join(map(str, detection.sensitive_layers))
    return f", by layers {layers}" if layers and detection.flagged.any() else ""
