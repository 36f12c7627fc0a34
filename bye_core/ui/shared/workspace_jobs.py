"""The jobs of a workspace. No gradio."""

from __future__ import annotations

from bye_core.runs import jobs
from bye_core.ui.workspace import Workspace


def is_busy(place: Workspace) -> bool:
    return jobs.running(place.jobs) > 0
