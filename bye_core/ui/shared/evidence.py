"""Why an open run's samples are flagged, worked out once and kept; and the job that asks the model. No gradio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.evidence import Dossier, Gallery
from bye_core.pipeline.evidence import causes, dossier, gallery, proved, scanned_set
from bye_core.runs import jobs
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.limits import NotHere, limits
from bye_core.ui.workspace import Workspace, hosted

KIND = "evidence"
_dossiers, _galleries, _causes = Cache(8), Cache(8), Cache(8)


def told(run: runs.Run) -> Dossier:
    """The evidence on the run's last detection. Raises NothingDetected."""
    seen = runs.stamps(run.path)
    return _dossiers.get((run.path, seen.scan, seen.detection), lambda: dossier(run))


def spots(run: runs.Run) -> Gallery:
    """The suspected spots, as far as their pictures can still be opened."""
    seen = runs.stamps(run.path)
    key = (run.path, seen.scan, seen.detection, seen.checks)
    return _galleries.get(key, lambda: gallery(run, told(run), *scanned_set(run), proved(facts(run)["causes"])))


def facts(run: runs.Run) -> dict[str, Any]:
    """All that a dossier tells, with what the model said when it was asked."""
    seen = runs.stamps(run.path)
    key = (run.path, seen.scan, seen.detection, seen.checks)
    return _causes.get(key, lambda: told(run).facts() | {"causes": causes(run, told(run))})


def arguments(run: Path) -> list[str]:
    """Of `python -m bye_core evidence`."""
    return ["--run", str(run), "--check"]


def start(place: Workspace, run: runs.Run) -> jobs.Job:
    """Ask the model about the flagged samples, in a process of its own; goes on where an earlier one stopped.

    Raises NotHere on a public host, NothingDetected, TooManyJobs.
    """
    if hosted():
        raise NotHere(what="Asking the model again", instead="Run the app, or the command, on your own machine.")
    told(run)
    name = run.path.name
    folder = data_sets.free_folder(place.jobs, f"{name}-why")
    return jobs.start(folder, KIND, arguments(run.path), title=name, at_most=limits().jobs)


def current(place: Workspace, run: str) -> jobs.Job | None:
    """The latest check of that run."""
    return next((job for job in jobs.list_jobs(place.jobs) if job.kind == KIND and job.title == run), None)
