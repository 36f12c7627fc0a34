"""Checks the project's data set as one job: fine-tune a model on it, scan the tuned model, and detect poison.

The job is `clean --until detect` (pipeline/clean.py): it rejects no sample. It runs on when the page is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from bye_core.demo import recipe
from bye_core.errors import ByeError
from bye_core.pipeline.cleaning import Cleaning
from bye_core.runs import jobs
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, events, model_choice, stages_card, workspace_jobs
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.project import all_runs, key_of_run, open_run_in
from bye_core.ui.shared.stop_button import stop_button, stop_job
from bye_core.ui.shared.training_form import check_allowed
from bye_core.ui.workspace import Workspace, hosted, workspace_of

KIND, UNTIL = "clean", "detect"
WHAT = "Fine-tunes the model on all samples ({epochs:g} epochs), scans its attention, and detects. Removes nothing."
TOY = "The demo's model knows only simple shapes. For a set of your own, choose the model that you will fine-tune."


@dataclass(frozen=True)
class Watch:
    """The check that the page shows and its last known state; `data` is the data set for which the form was filled."""

    job: str = ""
    state: str = ""
    card: str = ""
    data: str = ""


@dataclass(frozen=True)
class Parts(events.Parts):
    watch: gr.State
    pulse: gr.Timer
    tabs: gr.Tabs
    model: gr.Dropdown
    about: gr.HTML
    start: gr.Button
    job: gr.HTML
    stop: gr.Button
    resume: gr.Button
    review: gr.Button


# --- the job --------------------------------------------------------------------------------------------------------


def settings_for(model: str) -> FinetuneSettings:
    """Return the fine-tuning settings of a check: the demo's for its tiny model, the paper's for all others."""
    return recipe.TOUR if model == model_choice.SHIPPED else FinetuneSettings()


def start_check(workspace: Workspace, choice: Choice, model: str) -> jobs.Job:
    """Start the check as a job. Raises: ByeError, before anything is written, if it cannot run."""
    check_allowed()
    path, resolved = data_sets.path_of(workspace, choice), model_choice.resolve_model(model)
    root = workspace.root / model_choice.CLEANINGS
    out = data_sets.free_folder(root, choice.stem, workspace.jobs, workspace.runs)
    settings, run = settings_for(model), workspace.runs / out.name
    check = Cleaning(resolved, path, settings, reading=choice.reading, seed=settings.seed, run=run, until=UNTIL)
    return workspace_jobs.start_job(workspace, out.name, KIND, check.arguments(out))


def check_of(workspace: Workspace, key: str, id: str = "") -> jobs.Job | None:
    """Return the check of the data set `key` to show: the job `id`, else the newest; None if there is none."""
    if not key:
        return None
    try:
        path = data_sets.path_of(workspace, data_sets.find(workspace, key))
    except ByeError:
        return None
    found = [job for job in jobs.list_jobs(workspace.jobs, KIND) if job.option("--until") == UNTIL]
    own = [job for job in found if job.option("--data") == path]
    return next((job for job in own if job.id == id), own[0] if own else None)


# --- the page -------------------------------------------------------------------------------------------------------


@needs_visitor
def enter(parts: Parts, session: Session, watch: Watch) -> Update:
    """Offer the models, with the one of the project's newest run in front. Show the check of the project."""
    if session.data == watch.data:
        return refresh(parts, session, watch)
    workspace = workspace_of(session.visitor)
    models = model_choice.model_choices(workspace)
    model = _usual_model(workspace, session.data) or next((value for _, value in models), "")
    return {
        parts.model: gr.Dropdown(models, value=model),
        parts.about: about(model),
        parts.start: gr.Button(interactive=bool(session.data)),
        **refresh(parts, session, Watch(data=session.data)),
    }


def _usual_model(workspace: Workspace, key: str) -> str:
    """Return the model of the newest run of the data set, "" if there is no run or a public host hides its path."""
    if hosted():
        return ""
    own = (facts.name for facts in all_runs(workspace) if key_of_run(workspace, facts) == key)
    return model_choice.model_of_run(workspace.runs / name) if (name := next(own, "")) else ""


def about(model: str | None) -> str:
    """Return what the check does with this model."""
    settings = settings_for(model or "")
    toy = note(TOY) if model == model_choice.SHIPPED else ""
    return note(WHAT.format(epochs=settings.epochs)) + toy


def describe(parts: Parts, session: Session, model: str | None) -> Update:
    return {parts.about: about(model)}


def refresh(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the check of the project. When it ends while the page looks, open its run and lead to Review."""
    workspace = workspace_of(session.visitor)
    job = check_of(workspace, session.data, watch.job)
    if job is None:
        hidden = {button: gr.Button(visible=False) for button in (parts.stop, parts.resume, parts.review)}
        return {parts.job: "", **hidden, parts.watch: replace(watch, job="", state="", card="")}
    state = job.state
    card = stages_card.card(job, state, opens=False)
    if (card, job.id) == (watch.card, watch.job):
        return {parts.watch: watch}
    run = Path(job.option("--run")).name
    done = state == jobs.DONE and run in workspace.run_names()
    update: Update = {
        parts.job: card,
        parts.start: gr.Button(interactive=state != jobs.RUNNING),
        parts.stop: stop_button(job, state),
        parts.resume: gr.Button(visible=state in workspace_jobs.RESUMABLE),
        parts.review: gr.Button(visible=done),
        parts.watch: replace(watch, job=job.id, state=state, card=card),
    }
    if done and watch.job == job.id and watch.state == jobs.RUNNING:
        update |= {parts.session: open_run_in(workspace, session, run), parts.tabs: gr.Tabs(selected="review")}
    return update


@needs_visitor
def tick(parts: Parts, session: Session, watch: Watch) -> Update:
    """Refresh while a check of the project runs."""
    job = check_of(workspace_of(session.visitor), session.data, watch.job)
    if job is None or (job.id == watch.job and job.state == watch.state != jobs.RUNNING):
        return parts.unchanged()
    return refresh(parts, session, watch)


@needs_visitor
def start(parts: Parts, session: Session, watch: Watch, model: str | None) -> Update:
    workspace = workspace_of(session.visitor)
    try:
        job = start_check(workspace, data_sets.find(workspace, session.data), model or "")
    except ByeError as error:
        return {parts.job: alert(error)}
    watch = replace(watch, job=job.id, state=jobs.RUNNING, card="")
    return {**refresh(parts, session, watch), parts.pulse: gr.Timer(active=True)}


@needs_visitor
def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    job = check_of(workspace_of(session.visitor), session.data, watch.job)
    yield from stop_job(job, parts.stop)


@needs_visitor
def stopped(parts: Parts, session: Session, watch: Watch) -> Update:
    return refresh(parts, session, replace(watch, card=""))


@needs_visitor
def resume(parts: Parts, session: Session, watch: Watch) -> Update:
    job = check_of(workspace_of(session.visitor), session.data, watch.job)
    if job is not None:
        workspace_jobs.resume_job(job)
    watch = replace(watch, state=jobs.RUNNING, card="")
    return {**refresh(parts, session, watch), parts.pulse: gr.Timer(active=True)}


@needs_visitor
def review(parts: Parts, session: Session, watch: Watch) -> Update:
    """Open the run of the finished check in Review."""
    workspace = workspace_of(session.visitor)
    job = check_of(workspace, session.data, watch.job)
    if job is None:
        return parts.unchanged()
    opened = open_run_in(workspace, session, Path(job.option("--run")).name)
    return {parts.session: opened, parts.tabs: gr.Tabs(selected="review")}
