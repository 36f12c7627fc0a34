"""What the Clean tab does: the command, start, watch, stop, go on, and opening what a stage has made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.runs.jobs import command_line
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, model_choice
from bye_core.ui.shared.job_card import failure_alert
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.tabs.clean import job as clean_job
from bye_core.ui.workspace import workspace_of

Update = dict[Any, Any]
NO_DATA = "No data set is chosen yet. Choose the suspect one in Data: then it can be cleaned here."
NOTHING = "Nothing was cleaned here yet. A cleaning goes on when this page is closed, and is found again."
NAME = 7  # its place among the fields
SETTINGS = tuple(one.name for one in dataclasses.fields(FinetuneSettings))


@dataclass(frozen=True)
class Watch:
    """The cleaning that the page follows, its state, and what it shows of it; `seen`: the session that the form was
    made for, () before the tab was looked at."""

    job: str = ""
    state: str = ""
    shown: str = ""
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """`fields`: model, test, trigger, size, target, truth, random, name, and the settings in the order of SETTINGS."""

    session: gr.State
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
    again: gr.Button
    opened: gr.HTML

    def all(self) -> list[Any]:
        return [part for name, part in vars(self).items() if name != "fields"] + list(self.fields)


def form_of(values: tuple[Any, ...]) -> clean_job.Form:
    model, test, trigger, size, target, truth, random, name, *settings = values
    words = (text or "" for text in (model, test))
    more = dict(zip(SETTINGS, settings, strict=True))
    return clean_job.Form(*words, trigger, size, target or "", truth or "", bool(random), name or "", more)


def chosen(session: Session) -> str:
    """The set chosen in Data; where none is, the demo's poisoned one, as in Attack. "" where that is missing."""
    return session.data or (data_sets.DEMO if data_sets.DEMO_FILE.is_file() else "")


def arrive(parts: Parts, session: Session, watch: Watch) -> Update:
    """Somebody came in, or another set was chosen. The form waits until the tab is looked at for the first time."""
    if not session.visitor or not watch.seen or (session.visitor, chosen(session)) == watch.seen:
        return {parts.watch: gr.skip()}
    return enter(parts, session, watch)


def enter(parts: Parts, session: Session, watch: Watch) -> Update:
    """The tab was chosen, or there is a new set to fill the form for."""
    if not session.visitor:  # the tab was chosen before the page knew who is there
        return {parts.watch: replace(watch, seen=("", ""))}
    place, seen = workspace_of(session.visitor), (session.visitor, chosen(session))
    if seen == watch.seen:
        return look(parts, session, watch)
    form = clean_job.defaults(chosen(session))
    models = model_choice.model_choices(place)
    model = form.model or next((value for _, value in models), "")
    settings = [form.settings[name] for name in SETTINGS]
    values = (model, form.test, form.trigger, form.size, form.target, form.truth, form.random, "", *settings)
    return {
        **dict(zip(parts.fields, values, strict=True)),
        parts.fields[0]: gr.Dropdown(models, value=model),
        parts.data: _data_line(session),
        parts.start: gr.Button(interactive=bool(chosen(session))),
        **preview(parts, session, watch, *values),
        **look(parts, session, replace(watch, seen=seen)),
    }


def _data_line(session: Session) -> str:
    if not chosen(session):
        return note(NO_DATA)
    return data_sets.choice_line(data_sets.find(workspace_of(session.visitor), chosen(session)))


def preview(parts: Parts, session: Session, _: Watch, *values: Any) -> Update:
    """The command as it would run now, or what is wrong with the form."""
    if not chosen(session):
        return {parts.command: "", parts.notice: ""}
    try:
        given = clean_job.arguments(workspace_of(session.visitor), chosen(session), form_of(values))
    except ByeError as error:
        return {parts.command: "", parts.notice: alert(error)}
    return {parts.command: command_line(clean_job.KIND, given), parts.notice: ""}


def look(parts: Parts, session: Session, watch: Watch) -> Update:
    """The followed cleaning as it stands; what has not changed is not sent again."""
    if not session.visitor:
        return {parts.watch: gr.skip()}
    place = workspace_of(session.visitor)
    job = clean_job.current(place, watch.job)
    if job is None:
        return {parts.stages: note(NOTHING), parts.watch: watch}
    state, known = job.state, clean_job.cleanings(place)
    card = clean_job.card(job, state) + failure_alert(job.error())
    if card == watch.shown:
        return {parts.watch: watch}
    return {
        parts.stages: card,
        parts.stop: gr.Button("Stop", visible=state == jobs.RUNNING, interactive=True),
        parts.again: gr.Button(visible=state in (jobs.FAILED, jobs.STOPPED, jobs.LOST)),
        parts.jobs: gr.Dropdown([one.id for one in known], value=job.id, visible=len(known) > 1),
        parts.watch: replace(watch, job=job.id, state=state, shown=card),
    }


def tick(parts: Parts, session: Session, watch: Watch) -> Update:
    """While any job runs. One that has ended, and was seen to, is not looked into again."""
    job = clean_job.current(workspace_of(session.visitor), watch.job) if session.visitor else None
    if job is None or (job.id == watch.job and job.state == watch.state != jobs.RUNNING):
        return {parts.watch: gr.skip()}
    return look(parts, session, watch)


def start(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    job = clean_job.start(workspace_of(session.visitor), chosen(session), form_of(values))
    name = parts.fields[NAME]
    return {
        **preview(parts, session, watch, *values[:NAME], "", *values[NAME + 1 :]),
        **look(parts, session, replace(watch, job=job.id, shown="")),
        name: "",
        parts.opened: "",
        parts.pulse: gr.Timer(active=True),
    }


def pick(parts: Parts, session: Session, watch: Watch, id: str | None) -> Update:
    return {parts.opened: "", **look(parts, session, replace(watch, job=id or "", shown=""))}


def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    job = clean_job.current(workspace_of(session.visitor), watch.job)
    if job:
        yield {parts.stop: gr.Button("Stopping", interactive=False)}
        job.stop()
    yield look(parts, session, replace(watch, shown=""))


def again(parts: Parts, session: Session, watch: Watch) -> Update:
    """Go on where it stopped."""
    job = clean_job.current(workspace_of(session.visitor), watch.job)
    if job:
        clean_job.resume(job)
    return {**look(parts, session, replace(watch, shown="")), parts.pulse: gr.Timer(active=True)}


def open_stage(parts: Parts, session: Session, watch: Watch, stage: str) -> Update:
    """Show what a stage has made: its run in Review or Layers, its log, its files, the report."""
    place = workspace_of(session.visitor)
    job = clean_job.current(place, watch.job)
    if job is None or stage not in clean_job.WORDS:
        return {parts.watch: watch}
    kind = clean_job.WORDS[stage][1]
    if kind in ("review", "layers"):
        place.run_path(job.id)
        session = replace(session, run=job.id, revision=session.revision + 1)
        return {parts.session: session, parts.tabs: gr.Tabs(selected=kind)}
    if kind == "log":
        return {parts.opened: f"<pre class='bye-pre'>{escape(clean_job.log(job, stage)) or '(nothing yet)'}</pre>"}
    if kind == "files":
        path = escape(str(clean_job.out_of(job) / "data"))
        return {parts.opened: f"<p class='bye-ok'>The cleaned set: <bdi>{path}</bdi></p>"}
    report = clean_job.out_of(job) / "report.html"
    page = escape(report.read_text(encoding="utf-8"), quote=True)
    # Without any permission: the report needs no script, and a frame of its own keeps its style to itself.
    frame = f"<iframe class='bye-report' title='Report' sandbox='' srcdoc=\"{page}\"></iframe>"
    return {parts.opened: f"<p class='bye-note'>This page is a file: <bdi>{escape(str(report))}</bdi></p>{frame}"}
