"""The handlers of the Fine-tune tab: fill the form, start, follow, stop and resume a training, measure the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from bye_core import figures, runs
from bye_core.demo.recipe import TOUR
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Session
from bye_core.ui.shared import events
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.model_choice import SHIPPED, model_choices, model_of_run
from bye_core.ui.shared.obstacles import first_obstacle
from bye_core.ui.shared.plots import drawn
from bye_core.ui.shared.stop_button import stop_button, stop_job
from bye_core.ui.shared.training_form import SETTINGS, settings_from_form
from bye_core.ui.shared.workspace_jobs import RESUMABLE
from bye_core.ui.tabs.finetune import evaluation, evaluation_actions, status_card
from bye_core.ui.tabs.finetune import job as finetune_job
from bye_core.ui.workspace import Workspace, workspace_of

MODEL, DATA, PATH, NAME = range(4)  # indices of the first fields; the settings follow
NO_JOB = "none"  # the state that is shown without a training
NOTHING = (
    "No model was fine-tuned here yet. Start a training with the form. The page shows its loss while it runs. "
    "The training continues if you close this page."
)
NOT_EXPORTED = "This run is not exported yet. Export it first to fine-tune on the remaining samples."

UNTESTED = (
    "This run was not tested. Fine-tune its model on everything; then choose the new adapter in Scan and scan again."
)


@dataclass(frozen=True)
class Watch:
    """What the page shows now. Unchanged parts are not sent again.

    visitor     the visitor whose jobs the page shows
    filled      the run and the data set for which the form was filled, None before the tab was first opened
    awaited     whether the tab was opened before the visitor was known, so that the form is still to be filled
    job, state  the followed training and its last known state
    settled     whether the end of the training was sent twice: a refresh that began before the end may arrive after it
    drawn       number of losses in the figure
    outcome     what the page shows of the measurements
    """

    visitor: str = ""
    filled: tuple[str, str] | None = None
    awaited: bool = False
    job: str = ""
    state: str = ""
    settled: bool = False
    drawn: int = -1
    outcome: evaluation_actions.Watch = field(default_factory=evaluation_actions.Watch)

    def following(self, id: str) -> Watch:
        """Return the Watch for a page that begins to follow the training `id`."""
        return replace(self, job=id, state="", drawn=-1)


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab.

    `form`: model, data, path, name, then the settings in the order of training_form.SETTINGS.
    """

    watch: gr.State
    pulse: gr.Timer
    form: tuple[Any, ...]
    recipe: gr.Dropdown
    command: gr.Code
    notice: gr.HTML
    start: gr.Button
    job: gr.Dropdown
    status: gr.HTML
    figure: gr.Plot
    stop: gr.Button
    resume: gr.Button
    log: gr.Textbox
    outcome: evaluation_actions.OutcomeParts


def read_form(values: tuple[Any, ...], loaded: str = "") -> finetune_job.Form:
    """Return the form in the fields. `loaded` is the key of the project's data set."""
    model, data, path, name, *settings = values
    named = dict(zip(SETTINGS, settings, strict=True))
    return finetune_job.Form(model or "", data or "", path or "", name or "", loaded, named)


# --- what is shown ---------------------------------------------------------------------------------------------


def change_session(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the jobs of a new visitor. Fill the form again if the tab waits for the visitor, or the project changed."""
    stale = watch.filled not in (None, (session.run, session.data))
    if not session.visitor or (session.visitor == watch.visitor and not stale):
        return parts.unchanged()
    return enter(parts, session, watch) if watch.awaited or stale else refresh(parts, session, watch)


def enter(parts: Parts, session: Session, watch: Watch) -> Update:
    """Fill the form for the open run, or only update its list of data if it is filled. Show the followed training."""
    if not session.visitor:  # the tab was opened before the visitor is known
        return {parts.watch: replace(watch, awaited=True)}
    workspace = workspace_of(session.visitor)
    run = session_run(session)
    if watch.filled == (session.run, session.data) and watch.visitor == session.visitor:
        update: Update = {parts.form[DATA]: gr.Dropdown(finetune_job.data_choices(workspace, run, session.data))}
    else:
        update = _fill(parts, workspace, run, session)
        watch = Watch(filled=(session.run, session.data))
    return update | refresh(parts, session, watch)


def _fill(parts: Parts, workspace: Workspace, run: runs.Run | None, session: Session) -> Update:
    """Fill the form with the defaults for the open run."""
    models = model_choices(workspace)
    model = next((value for _, value in models), "") if run is None else model_of_run(run.path)
    data = finetune_job.default_data(workspace, run, session.data)
    settings = TOUR if run is None and model == SHIPPED else finetune_job.default_settings(run)
    values = [model, data, "", "", *(getattr(settings, name) for name in SETTINGS)]
    update: Update = dict(zip(parts.form, values, strict=True)) | preview(parts, session, None, *values)
    recipes, recipe = finetune_job.recipe_choices(run), finetune_job.recipe_of(run, settings)
    return update | {
        parts.form[MODEL]: gr.Dropdown(models, value=model),
        parts.form[DATA]: gr.Dropdown(finetune_job.data_choices(workspace, run, session.data), value=data),
        parts.recipe: gr.Dropdown(recipes, value=recipe),
        **evaluation_actions.fill(parts.outcome, workspace, run),
    }


def preview(parts: Parts, session: Session, _: Watch | None, *values: Any) -> Update:
    """Show the command that the Start button would run now, or the error in the form."""
    workspace, form = workspace_of(session.visitor), read_form(values, session.data)
    update: Update = {parts.form[PATH]: gr.Textbox(visible=form.data == finetune_job.OTHER)}
    try:
        run = session_run(session)
        command = jobs.command_line(finetune_job.KIND, finetune_job.arguments(workspace, run, form))
        recipe = finetune_job.recipe_of(run, settings_from_form(form.settings))
        return {**update, parts.recipe: recipe, parts.command: command, parts.notice: _advice(run, form.data)}
    except ByeError as error:
        return {**update, parts.command: "", parts.notice: alert(error)}


def _advice(run: runs.Run | None, data: str) -> str:
    """Return the HTML of what the user should know before training on the whole scanned set, "" for other data."""
    if run is None or data != finetune_job.RAW:
        return ""
    return note(UNTESTED if first_obstacle(run.detection()) else NOT_EXPORTED)


def apply_recipe(parts: Parts, session: Session, _: Watch, name: str) -> Update:
    """Set all settings to those of a recipe; the command follows the fields."""
    settings = finetune_job.recipe(session_run(session), name)
    if settings is None:
        return parts.unchanged()
    fields = parts.form[-len(SETTINGS) :]
    return {field: getattr(settings, name) for name, field in zip(SETTINGS, fields, strict=True)}


@needs_visitor
def refresh(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the followed training and the measurements. Unchanged parts are not sent again."""
    workspace = workspace_of(session.visitor)
    update, now = _training(parts, workspace, watch)
    measured, now = _outcome(parts, workspace, session, now)
    now = replace(now, visitor=session.visitor)
    return {**update, **measured, parts.watch: now}


def _training(parts: Parts, workspace: Workspace, watch: Watch) -> tuple[Update, Watch]:
    job = jobs.current(workspace.jobs, finetune_job.KIND, watch.job)
    if job is None:
        if watch.state == NO_JOB:
            return {}, watch
        hidden = (parts.figure, parts.log, parts.stop, parts.resume, parts.job)
        empty: Update = {part: gr.update(visible=False) for part in hidden}
        return {**empty, parts.status: note(NOTHING)}, replace(watch, job="", state=NO_JOB)
    state = job.state
    ended = state != jobs.RUNNING and (job.id, state) == (watch.job, watch.state)
    if ended and watch.settled:
        return {}, watch
    losses, others = finetune_job.losses(job), jobs.list_jobs(workspace.jobs, finetune_job.KIND)
    resume = "Resume" if finetune_job.saved_step(job) else "Start again"
    update: Update = {
        parts.status: status_card.card(job, state),
        parts.stop: stop_button(job, state),
        parts.resume: gr.Button(resume, visible=state in RESUMABLE),
        parts.log: gr.Textbox(finetune_job.log(job) or "(nothing yet)", visible=True),
        parts.job: gr.Dropdown([other.id for other in others], value=job.id, visible=len(others) > 1),
    }
    if (job.id, len(losses)) != (watch.job, watch.drawn):
        update[parts.figure] = drawn(figures.loss_figure(losses))
    return update, replace(watch, job=job.id, state=state, settled=ended, drawn=len(losses))


def _outcome(parts: Parts, workspace: Workspace, session: Session, watch: Watch) -> tuple[Update, Watch]:
    """Show the measurements. If a measurement has ended, start the next one."""
    filled = watch.filled is not None
    update, outcome, busy = evaluation_actions.refresh(parts.outcome, workspace, session, watch.outcome, filled)
    beating = {parts.pulse: gr.Timer(active=True)} if busy else {}
    return {**update, **beating}, replace(watch, outcome=outcome)


# --- what is done ----------------------------------------------------------------------------------------------


def start(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    workspace = workspace_of(session.visitor)
    job = finetune_job.start(workspace, session_run(session), read_form(values, session.data))
    return {
        # The name is used now, so the form proposes another one.
        **preview(parts, session, watch, *values[:NAME], "", *values[NAME + 1 :]),
        **refresh(parts, session, watch.following(job.id)),
        parts.form[NAME]: "",
        parts.pulse: gr.Timer(active=True),
    }


def follow(parts: Parts, session: Session, watch: Watch, id: str | None) -> Update:
    """Show the training that the user chose from the list."""
    return refresh(parts, session, watch.following(id or ""))


def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    """Stop the followed training at its next step."""
    job = jobs.current(workspace_of(session.visitor).jobs, finetune_job.KIND, watch.job)
    yield from stop_job(job, parts.stop)


def stopped(parts: Parts, session: Session, watch: Watch) -> Update:
    return refresh(parts, session, replace(watch, state=""))


def resume(parts: Parts, session: Session, watch: Watch) -> Update:
    finetune_job.resume(workspace_of(session.visitor), watch.job)
    return {**refresh(parts, session, watch), parts.pulse: gr.Timer(active=True)}


def measure(parts: Parts, session: Session, watch: Watch, model: str, *values: Any) -> Update:
    """Start the measurements that the form describes."""
    evaluation_actions.start(workspace_of(session.visitor), model, values)
    return measured(parts, session, watch) | {parts.pulse: gr.Timer(active=True)}


def stop_measuring(parts: Parts, session: Session, _: Watch) -> Iterator[Update]:
    yield {parts.outcome.stop: gr.Button("Stopping", interactive=False)}
    evaluation.stop(workspace_of(session.visitor))


def measured(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the measurements, even if nothing has changed."""
    watch = replace(watch, outcome=replace(watch.outcome, table=""))
    update, watch = _outcome(parts, workspace_of(session.visitor), session, watch)
    return {**update, parts.watch: watch}
