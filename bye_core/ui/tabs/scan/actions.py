"""What the Scan tab does: start, watch, stop, resume a scan, open a run; see tabs/scan.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from bye_core import detect, figures, runs
from bye_core.errors import ByeError
from bye_core.records import Detection
from bye_core.runs import jobs
from bye_core.ui import demo_run
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, job_card, model_choice
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.messages import alert, discreet, note
from bye_core.ui.shared.model_choice import SHIPPED
from bye_core.ui.tabs.scan import job as scan_job
from bye_core.ui.tabs.scan import run_list
from bye_core.ui.workspace import Workspace, workspace_of

GROWTH = 1.2  # the partial figure is drawn anew when this many times the samples are there: some 40 times in all
FEWEST = 8  # samples worth a figure
NO_DATA = "No data set is chosen yet. Choose one in Data: then its scan starts here."
_open_runs = Cache(2)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Watch:
    """The scan that this page follows: its name, which run was open when it began to, and what it shows of it; `seen`
    is the session that the form was made for."""

    job: str = ""
    was: str = ""
    state: str = ""
    drawn: int = 0
    seen: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """The tab's components; `fields` are the form's, in the order of scans.Form."""

    session: gr.State
    watch: gr.State
    pulse: gr.Timer
    notice: gr.HTML
    data: gr.HTML
    choose: gr.Button
    fields: tuple[Any, ...]
    command: gr.Code
    start: gr.Button
    job: gr.HTML
    stop: gr.Button
    resume: gr.Button
    results: gr.Button
    review: gr.Button
    sofar: gr.HTML
    figure: gr.Plot
    runs: gr.HTML
    demo: gr.Button

    def all(self) -> list[Any]:
        return [part for name, part in vars(self).items() if name != "fields"] + list(self.fields)


def form_of(values: tuple[Any, ...]) -> scan_job.Form:
    return scan_job.Form(*(str(value or "").strip() for value in values))


def refresh(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    """Somebody came in, a set or a run was chosen elsewhere, or a job has ended."""
    seen = (session.visitor, session.data, session.run)
    if not session.visitor or seen == watch.seen:
        return {parts.watch: watch}
    place = workspace_of(session.visitor)
    models, adapters = model_choice.model_choices(place), model_choice.adapter_choices(place)
    given, also, *others = values
    model, adapter = given or next((value for _, value in models), None), also or ""
    if session.data == data_sets.DEMO and model == SHIPPED:
        adapter = adapter or next((value for _, value in adapters if value), "")
    update = {
        parts.data: data_line(place, session),
        # What is in a field stays: it may have been changed since this was asked for.
        parts.fields[0]: gr.Dropdown(choices=models, **({} if given else {"value": model})),
        parts.fields[1]: gr.Dropdown(choices=adapters, **({} if also else {"value": adapter})),
        parts.demo: gr.Button(visible=demo_run.has_demo()),
        parts.choose: gr.Button(visible=not session.data),
        parts.start: gr.Button(interactive=bool(session.data)),
        parts.runs: run_list.table(place, session.run),
    }
    return update | preview(parts, session, model, adapter, *others) | look(parts, session, replace(watch, seen=seen))


def data_line(place: Workspace, session: Session) -> str:
    if not session.data:
        return note(NO_DATA)
    return data_sets.choice_line(data_sets.find(place, session.data))


def preview(parts: Parts, session: Session, *values: Any) -> Update:
    """The command that a start would run now; where one is not possible yet, why."""
    place, form = workspace_of(session.visitor), form_of(values)
    try:
        choice = data_sets.find(place, session.data)
        arguments = scan_job.arguments(place, choice, form, scan_job.run_place(place, form, choice))
        return {parts.command: discreet(jobs.command_line("scan", arguments))}
    except ByeError as error:
        return {parts.command: f"# {error.problem} {error.remedy}"}


def start(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    place = workspace_of(session.visitor)
    job = scan_job.start(place, data_sets.find(place, session.data), form_of(values))
    watch = Watch(job.id, session.run, seen=watch.seen)
    return {
        parts.notice: "",
        parts.pulse: gr.Timer(active=True),
        **preview(parts, session, *values),
        **look(parts, session, watch),
    }


def look(parts: Parts, session: Session, watch: Watch) -> Update:
    """The watched scan as it stands, with buttons that fit; when it has ended well, its run is opened."""
    place = workspace_of(session.visitor)
    job = scan_job.job_named(place, watch.job) or scan_job.current(place)
    if job is None:
        return _nothing(parts, place, session, watch)
    if job.id != watch.job:
        watch = Watch(job.id, session.run, seen=watch.seen)
    state = job.state
    update = {parts.job: job_card.card(place, job), **_buttons(parts, place, job, state)}
    ended_now = watch.state == jobs.RUNNING and state != jobs.RUNNING
    if ended_now:
        # Opened by itself only where the user has not gone to another run meanwhile.
        opens = state == jobs.DONE and session.run == watch.was
        session = replace(session, run=job.id if opens else session.run, revision=session.revision + 1)
        update[parts.session] = session
    if state != watch.state:
        update[parts.runs] = run_list.table(place, session.run)
    scored = job.progress().facts.get("scored", 0)
    if scored >= FEWEST and (scored >= GROWTH * watch.drawn or ended_now):
        update |= _sofar(parts, place.runs / job.id, state)
        watch = replace(watch, drawn=scored)
    elif scored < FEWEST and watch.drawn == 0:
        update |= {parts.figure: gr.Plot(visible=False), parts.sofar: ""}
    return update | {parts.watch: replace(watch, state=state)}


def _buttons(parts: Parts, place: Workspace, job: jobs.Job, state: str) -> Update:
    there = runs.is_run(place.runs / job.id)
    return {
        parts.stop: gr.Button("Stop", visible=state == jobs.RUNNING, interactive=True),
        parts.resume: gr.Button(
            "Try again" if state == jobs.FAILED else "Resume", visible=state in run_list.RESUMABLE, interactive=True
        ),
        parts.results: gr.Button(visible=there and state == jobs.DONE),
        parts.review: gr.Button(visible=there and state == jobs.DONE),
    }


def _nothing(parts: Parts, place: Workspace, session: Session, watch: Watch) -> Update:
    hidden = {part: gr.Button(visible=False) for part in (parts.stop, parts.resume, parts.results, parts.review)}
    return {
        parts.job: "",
        parts.sofar: "",
        parts.figure: gr.Plot(visible=False),
        parts.runs: run_list.table(place, session.run),
        parts.watch: Watch(seen=watch.seen),
        **hidden,
    }


def _sofar(parts: Parts, path: Path, state: str) -> Update:
    """Entropy per layer of what is scanned so far, with the verdict that it would give."""
    try:
        run = _open_runs.get(path, lambda: runs.Run.open(path))
        table = run.table()
        found = detect.detect(table)
    except ByeError as error:
        return {parts.sofar: note(discreet(error.problem)), parts.figure: gr.Plot(visible=False)}
    figure = figures.entropy_figure(found.layers, table.layer_entropy, figures.suspicious_side(found))
    words = _words(found, "" if state == jobs.DONE else "So far: ")
    return {parts.sofar: note(words), parts.figure: gr.Plot(figure, visible=True)}


def _words(found: Detection, opening: str) -> str:
    count = len(found.ids)
    if found.verdict != "poisoned":
        return f"{opening}no layer tells poisoned samples from others, in {count:,} samples."
    layers = ", ".join(map(str, found.sensitive_layers))
    return f"{opening}{int(found.flagged.sum()):,} of {count:,} samples flagged, by layers {layers}."


def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    """Ends at the next batch, so that nothing is lost; killed if it does not."""
    place = workspace_of(session.visitor)
    job = scan_job.job_named(place, watch.job)
    if job is None:
        yield look(parts, session, watch)
        return
    yield {parts.stop: gr.Button("Stopping at the next batch", interactive=False)}
    job.stop()
    yield look(parts, session, watch)


def resume(parts: Parts, session: Session, watch: Watch) -> Update:
    place = workspace_of(session.visitor)
    job = scan_job.job_named(place, watch.job)
    if job is None:
        return look(parts, session, watch)
    scan_job.resume(place, job)
    return {parts.pulse: gr.Timer(active=True), **look(parts, session, replace(watch, state=""))}


def open_run(parts: Parts, session: Session, name: str) -> Update:
    place = workspace_of(session.visitor)
    place.run_path(name)
    session = replace(session, run=name, revision=session.revision + 1)
    return {parts.session: session, parts.notice: "", parts.runs: run_list.table(place, name)}


def open_demo(parts: Parts, session: Session) -> Update:
    return open_run(parts, session, demo_run.open_demo(workspace_of(session.visitor)))


def show_job(parts: Parts, session: Session, watch: Watch, name: str) -> Update:
    return look(parts, session, Watch(name, session.run, seen=watch.seen))


def failed(parts: Parts, session: Session, watch: Watch, error: ByeError) -> Update:
    """The message, and buttons as the job really stands."""
    try:
        return {**look(parts, session, watch), parts.notice: alert(error)}
    except ByeError:
        return {parts.notice: alert(error)}
