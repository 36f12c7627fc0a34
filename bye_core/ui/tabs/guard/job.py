"""Judges an image and a question with the open run: starts the job that asks the model."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

from bye_core import runs
from bye_core.data.images import decode, read_bytes
from bye_core.errors import DataError, RunError
from bye_core.pipeline import guard_detection
from bye_core.records import Detection
from bye_core.runs import jobs
from bye_core.sample_texts import first_rows
from bye_core.ui.shared import data_sets, model_choice, workspace_jobs
from bye_core.ui.shared.sample_queue import facets
from bye_core.ui.shared.training_form import check_allowed
from bye_core.ui.workspace import Workspace

KIND, FOLDER = "guard", "guard"
IMAGE = "picture"  # file name in the job's folder
QUESTIONS = 12  # questions of the run that are offered


class NoRunOpen(RunError):
    problem = "No run is open, so there are no samples to compare with."
    remedy = "Open a run in the Scan tab, or scan a data set first."


class NoImage(DataError):
    problem = "The image is missing."
    remedy = "Drop an image first."


class NotAnImage(DataError):
    problem = "The file is not a readable image."
    remedy = "Choose a complete JPEG, PNG, WEBP, GIF, BMP or TIFF file."


class NoQuestion(DataError):
    problem = "The question is missing."
    remedy = "Enter a question that a user of the model would ask about the image."


def check_run(run: runs.Run | None) -> runs.Run:
    """Return `run` if new samples can be judged with it.

    Raises: NoRunOpen if `run` is None; NothingDetected if it has no detection; NoMode if its detection finds no
    poisoning; ModelNotHere if its model is gone.
    """
    if run is None:
        raise NoRunOpen()
    reference(run.path)
    model_choice.check_model(run, KIND)
    return run


def reference(path: Path) -> Detection:
    """Return the detection with which new samples are compared.

    Raises: NothingDetected if the run has no detection; NoMode if the detection finds no poisoning.
    """
    return _reference(path, runs.stamps(path)[:2])


@lru_cache(maxsize=8)
def _reference(path: Path, stamps: tuple) -> Detection:
    """Return the detection of `reference` from a cache. `stamps` change if the scan or the detection changes."""
    return guard_detection(runs.Run.open(path))


def questions(run: runs.Run) -> list[str]:
    """Return the run's most common questions, because a model learns its trigger together with these questions."""
    texts = tuple(sample.question for sample in run.samples())
    return [facet.text for facet in facets(texts, first_rows(texts), QUESTIONS)]


def start(workspace: Workspace, run: runs.Run, image: Path | None, question: str) -> jobs.Job:
    """Start the job that asks the model; earlier answers are removed.

    Raises: ByeError, before anything is written, if the model cannot be asked.
    """
    check_allowed()
    check_run(run)
    if image is None:
        raise NoImage()
    if not question.strip():
        raise NoQuestion()
    data = read_bytes(image.resolve().parent, image.name)
    decode(data, image.name)
    _remove_answered(workspace)
    folder = data_sets.free_folder(workspace.root / FOLDER, f"{run.path.name}-guard", workspace.jobs)
    folder.mkdir(parents=True)
    (folder / IMAGE).write_bytes(data)
    options = ["--run", str(run.path), "--image", str(folder / IMAGE), "--question", question]
    return workspace_jobs.start_job(workspace, folder.name, KIND, options, title=run.path.name)


def _remove_answered(workspace: Workspace) -> None:
    for job in jobs.list_jobs(workspace.jobs, KIND):
        if job.state != jobs.RUNNING:
            job.remove()
            shutil.rmtree(workspace.root / FOLDER / job.id, ignore_errors=True)


def latest(workspace: Workspace) -> jobs.Job | None:
    """Return the job that was started last, None if there is none."""
    return next(iter(jobs.list_jobs(workspace.jobs, KIND)), None)


def image_file(workspace: Workspace, job: jobs.Job) -> Path:
    """Return the path of the image that the job judges."""
    return workspace.root / FOLDER / job.id / IMAGE


def run_of(workspace: Workspace, job: jobs.Job) -> runs.Run:
    """Return the run with which the job compares. Raises: NoSuchRun if the run is gone."""
    return runs.Run.open(workspace.run_path(Path(job.option("--run")).name))
