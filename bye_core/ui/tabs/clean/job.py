"""Starts the cleanings of a workspace and returns the states of their stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bye_core.demo import recipe
from bye_core.errors import DataError
from bye_core.pipeline.cleaning import Cleaning
from bye_core.runs import jobs
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.shared import data_sets, workspace_jobs
from bye_core.ui.shared.attack_form import NO_TRIGGER, PAPER_SIZE, TARGET, TEST, read_attack_form, resolve_test_set
from bye_core.ui.shared.model_choice import CLEANINGS, SHIPPED, resolve_model
from bye_core.ui.shared.stages_card import outline_of
from bye_core.ui.shared.training_form import check_allowed, settings_from_form
from bye_core.ui.workspace import Workspace

KIND = "clean"
# The model that each training stage makes.
TRAININGS = {"finetune suspect": "suspect", "finetune cleaned": "cleaned", "finetune random": "random"}


class NoSetChosen(DataError):
    problem = "No data set to clean is chosen."
    remedy = "Choose a data set in the Data tab first."


@dataclass(frozen=True)
class Form:
    """The fields of the Clean tab. `settings` holds the fine-tuning settings, by name."""

    model: str = ""
    test: str = ""
    trigger: str = NO_TRIGGER
    size: float = PAPER_SIZE
    target: str = TARGET
    truth: str = ""
    random: bool = False
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def defaults(data: str) -> Form:
    """Return the form for a data set; the demo's set has its own model, test set, trigger and settings."""
    if data != data_sets.DEMO or not TEST.is_file():
        return Form(settings=dataclasses.asdict(FinetuneSettings()))
    settings = dataclasses.asdict(recipe.TOUR)
    return Form(SHIPPED, str(TEST), recipe.TRIGGER, recipe.TRIGGER_SIZE, recipe.TARGET, settings=settings)


def new_folder(workspace: Workspace, data: str, form: Form) -> Path:
    """Return the folder that `start` would create now. The cleaning's run and job get the same name."""
    stem = form.name.strip() or f"{data_sets.find(workspace, data).stem}-cleaning"
    return data_sets.free_folder(workspace.root / CLEANINGS, stem, workspace.jobs, workspace.runs)


def cleaning(workspace: Workspace, data: str, form: Form, run: Path | None = None) -> Cleaning:
    """Return the cleaning that the form describes. Raises: ByeError if a field is not valid or names a missing file."""
    if not data:
        raise NoSetChosen()
    choice, settings = data_sets.find(workspace, data), settings_from_form(form.settings)
    known = read_attack_form(form.trigger, form.size, form.target, form.truth)
    return Cleaning(
        model=resolve_model(form.model),
        data=data_sets.path_of(workspace, choice),
        settings=settings,
        reading=choice.reading,
        test=resolve_test_set(workspace, form.test) if form.test.strip() else None,
        attack=known.attack if known else None,
        attack_seed=known.seed if known and known.seed is not None else settings.seed,
        attack_file=known.file if known else None,
        baselines=("random",) if form.random else (),
        seed=settings.seed,
        run=run,
    )


def arguments(workspace: Workspace, data: str, form: Form) -> list[str]:
    """Return the arguments of `python -m bye_core clean`. Arguments with default values are left out.

    Raises: NoSetChosen if `data` is empty; another ByeError if a field is not valid or names a missing file.
    """
    if not data:
        raise NoSetChosen()
    out = new_folder(workspace, data, form)
    return cleaning(workspace, data, form, workspace.runs / out.name).arguments(out)


def start(workspace: Workspace, data: str, form: Form) -> jobs.Job:
    """Start a cleaning as a job. Raises: ByeError, before anything is written, if it cannot run."""
    check_allowed()
    options = arguments(workspace, data, form)
    return workspace_jobs.start_job(workspace, outline_of(options).folder.out.name, KIND, options)


def resume(job: jobs.Job) -> None:
    """Resume a cleaning at the stage where it ended."""
    check_allowed()
    workspace_jobs.resume_job(job)


def log(job: jobs.Job, stage: str = "") -> str:
    """Return the end of the log of a training stage. Without a stage, return the end of the job's log."""
    path = outline_of(job.arguments).folder.adapter(TRAININGS[stage]) if stage in TRAININGS else None
    if path is None or not (path / "log.txt").is_file():
        return job.log()
    return workspace_jobs.log_end(path / "log.txt")
