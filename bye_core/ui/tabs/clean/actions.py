"""The handlers of the Clean tab: start, follow, stop and resume a cleaning, and open the results of a stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from html import escape
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, events, model_choice, stages_card
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.project import open_run_in
from bye_core.ui.shared.stop_button import stop_button, stop_job
from bye_core.ui.shared.workspace_jobs import RESUMABLE
from bye_core.ui.tabs.clean import job as clean_job
from bye_core.ui.workspace import Workspace, workspace_of

NO_DATA = "No data set is chosen yet. Choose the suspect set in Data, then clean it here."
NOTHING = "No data set was cleaned here yet. A cleaning continues if you close this page."
NAME = 7  # index of the name field
SETTINGS = tuple(field.name for field in fields(FinetuneSettings))


@dataclass(frozen=True)
class Watch:
    """What the page shows now. Unchanged parts are not sent again.

    job, state  the followed cleaning and its last known state
    card        the HTML of that cleaning
    filled_for  visitor and data set for which the form was filled, () before the tab was first opened
    """

    job: str = ""
    state: str = ""
    card: str = ""
    filled_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab.

    `fields`: model, test, trigger, size, target, truth, random, name, then the settings in the order of SETTINGS.
    """

    watch: gr.State
    pulse: gr.Timer
    tabs: gr.Tabs
    data: gr.HTML
    fields: tuple[Any, ...]
    command: gr.Code
    notice: gr.HTML
    start: gr.Button
    jobs: gr.Dropdown
    stages: gr.HTML
    stop: gr.Button
    resume: gr.Button
    opened: gr.HTML


def read_form(values: tuple[Any, ...]) -> clean_job.Form:
    model, test, trigger, size, target, truth, random, name, *settings = values
    named = dict(zip(SETTINGS, settings, strict=True))
    return clean_job.Form(
        model or "", test or "", trigger, size, target or "", truth or "", bool(random), name or "", named
    )


def chosen_set(session: Session) -> str:
    """Return the set chosen in Data, else the demo's poisoned set, as in Attack; "" if there is no demo."""
    return session.data or (data_sets.DEMO if data_sets.DEMO_FILE.is_file() else "")


def change_session(parts: Parts, session: Session, watch: Watch) -> Update:
    """Fill the form again if visitor or data set changed after the tab was first opened."""
    if not session.visitor or not watch.filled_for or (session.visitor, chosen_set(session)) == watch.filled_for:
        return parts.unchanged()
    return enter(parts, session, watch)


def enter(parts: Parts, session: Session, watch: Watch) -> Update:
    """Fill the form for the chosen set unless it is filled for it already. Show the followed cleaning."""
    if not session.visitor:  # The visitor is not known yet; change_session fills the form later.
        return {parts.watch: replace(watch, filled_for=("", ""))}
    workspace, data = workspace_of(session.visitor), chosen_set(session)
    if (session.visitor, data) == watch.filled_for:
        return refresh(parts, session, watch)
    form, models = clean_job.defaults(data), model_choice.model_choices(workspace)
    model = form.model or next((value for _, value in models), "")
    settings = [form.settings[name] for name in SETTINGS]
    values = (model, form.test, form.trigger, form.size, form.target, form.truth, form.random, "", *settings)
    return {
        **dict(zip(parts.fields, values, strict=True)),
        parts.fields[0]: gr.Dropdown(models, value=model),
        parts.data: data_sets.choice_line(data_sets.find(workspace, data)) if data else note(NO_DATA),
        parts.start: gr.Button(interactive=bool(data)),
        **preview(parts, session, watch, *values),
        **refresh(parts, session, replace(watch, filled_for=(session.visitor, data))),
    }


def preview(parts: Parts, session: Session, _: Watch, *values: Any) -> Update:
    """Show the command that the Start button would run now, or the error in the form."""
    if not chosen_set(session):
        return {parts.command: "", parts.notice: ""}
    try:
        arguments = clean_job.arguments(workspace_of(session.visitor), chosen_set(session), read_form(values))
    except ByeError as error:
        return {parts.command: "", parts.notice: alert(error)}
    return {parts.command: jobs.command_line(clean_job.KIND, arguments), parts.notice: ""}


@needs_visitor
def refresh(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the followed cleaning. Unchanged parts are not sent again."""
    workspace = workspace_of(session.visitor)
    job = _followed(workspace, watch)
    if job is None:
        return {parts.stages: stages_card.plan() + note(NOTHING), parts.stop: stop_button(None, ""), parts.watch: watch}
    state, others = job.state, jobs.list_jobs(workspace.jobs, clean_job.KIND)
    card = stages_card.card(job, state)
    if card == watch.card:
        return {parts.watch: watch}
    return {
        parts.stages: card,
        parts.stop: stop_button(job, state),
        parts.resume: gr.Button(visible=state in RESUMABLE),
        parts.jobs: gr.Dropdown([other.id for other in others], value=job.id, visible=len(others) > 1),
        parts.watch: replace(watch, job=job.id, state=state, card=card),
    }


def _followed(workspace: Workspace, watch: Watch) -> jobs.Job | None:
    return jobs.current(workspace.jobs, clean_job.KIND, watch.job)


def tick(parts: Parts, session: Session, watch: Watch) -> Update:
    """Refresh while jobs run, except for a cleaning that was already shown as ended."""
    job = _followed(workspace_of(session.visitor), watch) if session.visitor else None
    if job is None or (job.id == watch.job and job.state == watch.state != jobs.RUNNING):
        return parts.unchanged()
    return refresh(parts, session, watch)


def start(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    job = clean_job.start(workspace_of(session.visitor), chosen_set(session), read_form(values))
    return {
        # The name is used now, so the form proposes another one.
        **preview(parts, session, watch, *values[:NAME], "", *values[NAME + 1 :]),
        **refresh(parts, session, replace(watch, job=job.id, card="")),
        parts.fields[NAME]: "",
        parts.opened: "",
        parts.pulse: gr.Timer(active=True),
    }


def follow(parts: Parts, session: Session, watch: Watch, id: str | None) -> Update:
    """Show the cleaning that the user chose from the list."""
    return {parts.opened: "", **refresh(parts, session, replace(watch, job=id or "", card=""))}


def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    yield from stop_job(_followed(workspace_of(session.visitor), watch), parts.stop)


def stopped(parts: Parts, session: Session, watch: Watch) -> Update:
    return refresh(parts, session, replace(watch, card=""))


def resume(parts: Parts, session: Session, watch: Watch) -> Update:
    job = _followed(workspace_of(session.visitor), watch)
    if job:
        clean_job.resume(job)
    return {**refresh(parts, session, replace(watch, card="")), parts.pulse: gr.Timer(active=True)}


def open_stage(parts: Parts, session: Session, watch: Watch, event: gr.EventData) -> Update:
    """Show the results of the clicked stage: its run in Review or Layers, its log, its folder or the report."""
    workspace, stage = workspace_of(session.visitor), str(event.stage)
    job = _followed(workspace, watch)
    if job is None or stage not in stages_card.STAGES:
        return parts.unchanged()
    opens = stages_card.STAGES[stage][1]
    if opens in ("review", "layers"):
        session = open_run_in(workspace, session, job.id)
        return {parts.session: session, parts.tabs: gr.Tabs(selected=opens)}
    if opens == "log":
        return {parts.opened: f"<pre class='bye-pre'>{escape(clean_job.log(job, stage)) or '(nothing yet)'}</pre>"}
    folder = stages_card.outline_of(job.arguments).folder
    if opens == "files":
        return {parts.opened: f"<p class='bye-ok'>The cleaned set: <bdi>{escape(str(folder.data))}</bdi></p>"}
    page = escape(folder.report.read_text(encoding="utf-8"), quote=True)
    # The report needs no scripts, so the frame has no permissions. The frame also isolates the report's style sheet.
    frame = f"<iframe class='bye-report' title='Report' sandbox='' srcdoc=\"{page}\"></iframe>"
    return {parts.opened: f"<p class='bye-note'>The report's file: <bdi>{escape(str(folder.report))}</bdi></p>{frame}"}
