"""Provides the evidence on a run's flagged samples (computed once) and the job of the causal check. No gradio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.evidence import Dossier, Gallery
from bye_core.pipeline.causal_outcomes import causal_outcomes, trigger_regions
from bye_core.pipeline.evidence import dossier, scanned_set
from bye_core.pipeline.gallery import gallery
from bye_core.runs import jobs
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.limits import NotHere, limits
from bye_core.ui.shared.model_choice import check_model
from bye_core.ui.workspace import Workspace, hosted

KIND = "evidence"
_dossiers, _galleries, _causes = Cache(8), Cache(8), Cache(8)


def run_dossier(run: runs.Run) -> Dossier:
    """Return the evidence on the run's last detection. Raises: NothingDetected if the run has no detection."""
    seen = runs.stamps(run.path)
    return _dossiers.get((run.path, seen.scan, seen.detection), lambda: dossier(run))


def run_gallery(run: runs.Run) -> Gallery:
    """Return the suspected spots whose images can be opened."""
    seen = runs.stamps(run.path)
    key = (run.path, seen.scan, seen.detection, seen.checks)
    return _galleries.get(
        key, lambda: gallery(run, run_dossier(run), *scanned_set(run), trigger_regions(facts(run)["causes"]))
    )


def facts(run: runs.Run) -> dict[str, Any]:
    """Return the values that the Dossier page shows, including the results of the causal check."""
    seen = runs.stamps(run.path)
    key = (run.path, seen.scan, seen.detection, seen.checks)
    return _causes.get(key, lambda: run_dossier(run).facts() | {"causes": causal_outcomes(run, run_dossier(run))})


def arguments(run: Path) -> list[str]:
    """Return the arguments of `python -m bye_core evidence`."""
    return ["--run", str(run), "--check"]


def start(place: Workspace, run: runs.Run) -> jobs.Job:
    """Start the causal check as a job. It resumes an earlier check that was stopped.

    Raises: NotHere on a public host; NothingDetected if the run has no detection; ModelNotHere if its model is gone;
    TooManyJobs if too many jobs run.
    """
    if hosted():
        raise NotHere(what="The causal check", instead="Run the app, or the command, on your own machine.")
    run_dossier(run)
    check_model(run, KIND)
    name = run.path.name
    folder = data_sets.free_folder(place.jobs, f"{name}-why")
    return jobs.start(folder, KIND, arguments(run.path), title=name, at_most=limits().jobs)


def current(place: Workspace, run: str) -> jobs.Job | None:
    """Return the job of the run's latest causal check, None if there is none."""
    return next((job for job in jobs.list_jobs(place.jobs) if job.kind == KIND and job.title == run), None)
