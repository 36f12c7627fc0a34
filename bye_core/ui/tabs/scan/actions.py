"""The handlers of the Scan tab: start, follow, stop and resume a scan, and open a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from bye_core import figures, runs
from bye_core.errors import ByeError
from bye_core.pipeline.detect import detect_scan
from bye_core.records import UNIT_NAMES
from bye_core.runs import jobs
from bye_core.ui import demo_run
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets, events, job_card, model_choice
from bye_core.ui.shared.cache import Cache
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.messages import alert, discreet, note
from bye_core.ui.shared.obstacles import expected_html
from bye_core.ui.shared.project import open_run_in
from bye_core.ui.shared.stop_button import stop_button, stop_job
from bye_core.ui.shared.workspace_jobs import RESUMABLE, resume_job
from bye_core.ui.tabs.scan import job as scan_job
from bye_core.ui.tabs.scan import outcome, run_list
from bye_core.ui.workspace import Workspace, workspace_of

GROWTH = 1.2  # factor between the sample counts at which the preliminary figure is drawn: about 40 times per scan
FEWEST = 8  # smallest number of samples for a preliminary figure
NO_DATA = "No data set is chosen yet. Choose one in Data, then start its scan here."
NO_MODEL = ("none", "")
BEFORE = -5  # place of the model before fine-tuning among the fields
_open_runs = Cache(2)


@dataclass(frozen=True)
class Watch:
    """What the page shows now. Unchanged parts are not sent again.

    job, state  the scan that the page follows, and its last known state
    run, data   the run and the data set that were open when the page began to follow the scan
    drawn       samples in the preliminary figure
    filled_for  visitor, data set and run for which the form was filled
    """

    job: str = ""
    run: str = ""
    state: str = ""
    drawn: int = 0
    filled_for: tuple[str, ...] = ()
    data: str = ""


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab. `fields` are the form fields, in the order of job.Form."""

    watch: gr.State
    pulse: gr.Timer
    notice: gr.HTML
    data: gr.HTML
    choose: gr.Button
    fields: tuple[Any, ...]
    expected: gr.HTML
    command: gr.Code
    start: gr.Button
    job: gr.HTML
    stop: gr.Button
    resume: gr.Button
    results: gr.Button
    review: gr.Button
    preliminary: gr.HTML
    figure: gr.Plot
    runs: gr.HTML
    demo: gr.Button


def read_form(values: tuple[Any, ...]) -> scan_job.Form:
    model, adapter, name, batch, device, dtype, before = (str(value or "").strip() for value in values[:-4])
    least, most, answers, tuned = values[-4:]
    stated = {"min_pixels": least, "max_pixels": most, "answers": bool(answers), "tuned": bool(tuned)}
    return scan_job.Form(model, adapter, name, batch, device, dtype, before=before, **stated)


def enter(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    """Fill the form for a new visitor, data set or run; show the scan to follow."""
    filled_for = (session.visitor, session.data, session.run)
    if not session.visitor or filled_for == watch.filled_for:
        return {parts.watch: watch}
    workspace = workspace_of(session.visitor)
    models, adapters = model_choice.model_choices(workspace), model_choice.adapter_choices(workspace)
    old_model, old_adapter, *others, old_before, least, most, answers, tuned = values
    before = "".join(watch.filled_for[1:2])
    if session.data != before:
        tuned = False  # the statement was about another data set
    if before and session.data != before:
        old_model, old_adapter, old_before = "", "", ""  # as were the models and the adapter
    model, adapter = old_model or next((value for _, value in models), None), old_adapter or ""
    if session.data == data_sets.DEMO and model == model_choice.SHIPPED:
        adapter = adapter or next((value for _, value in adapters if value), "")
    elif session.data and not (old_model or old_adapter):
        adapter = _trained_on(workspace, session.data)
        model = model_choice.model_of_adapter(workspace, adapter) or model
    return {
        parts.data: _data_line(workspace, session),
        # A field that is filled keeps its value: the user may have changed it since this request was sent.
        parts.fields[0]: gr.Dropdown(choices=models, **({} if old_model else {"value": model})),
        parts.fields[1]: gr.Dropdown(choices=adapters, **({} if old_adapter else {"value": adapter})),
        parts.fields[BEFORE]: gr.Dropdown(choices=[NO_MODEL, *models], **({} if old_before else {"value": ""})),
        parts.fields[-1]: tuned,
        parts.demo: gr.Button(visible=demo_run.has_demo()),
        parts.choose: gr.Button("Choose another data set" if session.data else "Choose a data set"),
        parts.start: gr.Button(interactive=bool(session.data)),
        parts.runs: run_list.table(workspace, session.run),
        **preview(parts, session, watch, model, adapter, *others, old_before, least, most, answers, tuned),
        **refresh(parts, session, replace(watch, filled_for=filled_for)),
    }


@needs_visitor
def offer_adapters(parts: Parts, session: Session, _: Watch, *values: Any) -> Update:
    """Offer the adapters that were made meanwhile. If none is chosen, choose one that was trained on the data set."""
    workspace, form = workspace_of(session.visitor), read_form(values)
    offered: dict[str, Any] = {"choices": model_choice.adapter_choices(workspace)}
    if session.data and not form.adapter and not form.tuned:
        found = _trained_on(workspace, session.data)
        offered |= {"value": found} if found else {}
    return {parts.fields[1]: gr.Dropdown(**offered)}


def _trained_on(workspace: Workspace, data: str) -> str:
    """Return the newest adapter that was trained on the data set, "" if there is none or the set cannot be read."""
    choice = data_sets.find(workspace, data)
    try:
        return model_choice.adapter_trained_on(workspace, lambda: data_sets.open_set(workspace, choice).digest)
    except ByeError:
        return ""


def _data_line(workspace: Workspace, session: Session) -> str:
    return data_sets.choice_line(data_sets.find(workspace, session.data)) if session.data else note(NO_DATA)


def preview(parts: Parts, session: Session, _: Watch, *values: Any) -> Update:
    """Show the command that the Start button would run now, and whether its scan could test the data set."""
    workspace, form = workspace_of(session.visitor), read_form(values)
    try:
        choice = data_sets.find(workspace, session.data)
        arguments = scan_job.arguments(workspace, choice, form, scan_job.run_folder(workspace, form, choice))
        command, kind = jobs.command_line(scan_job.KIND, arguments), scan_job.expected(workspace, choice, form)
        return {parts.command: discreet(command), parts.expected: expected_html(kind)}
    except ByeError as error:
        return {parts.command: f"# {error.problem} {error.remedy}", parts.expected: ""}


def start(parts: Parts, session: Session, watch: Watch, *values: Any) -> Update:
    workspace = workspace_of(session.visitor)
    job = scan_job.start(workspace, data_sets.find(workspace, session.data), read_form(values))
    return {
        parts.notice: "",
        parts.pulse: gr.Timer(active=True),
        **preview(parts, session, watch, *values),
        **refresh(parts, session, Watch(job.id, session.run, filled_for=watch.filled_for, data=session.data)),
    }


def refresh(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the followed scan with the buttons that apply; open its run when it is done."""
    workspace = workspace_of(session.visitor)
    job = jobs.current(workspace.jobs, scan_job.KIND, watch.job)
    if job is None:
        return _no_job(parts, workspace, session, watch)
    if job.id != watch.job:
        watch = Watch(job.id, session.run, filled_for=watch.filled_for, data=session.data)
    state = job.state
    update = {parts.job: job_card.card(workspace, job), **_buttons(parts, workspace, job, state)}
    ended_now = watch.state == jobs.RUNNING and state != jobs.RUNNING
    if ended_now:
        # If the user has opened another run in the meantime, do not open this one.
        opens = state == jobs.DONE and (session.run, session.data) == (watch.run, watch.data)
        session = replace(session, revision=session.revision + 1)
        session = open_run_in(workspace, session, job.id) if opens else session
        update[parts.session] = session
    if state != watch.state:
        update[parts.runs] = run_list.table(workspace, session.run)
    scored = job.progress().facts.get("scored", 0)
    if scored >= FEWEST and (scored >= GROWTH * watch.drawn or ended_now):
        update |= _preliminary(parts, workspace.runs / job.id, state)
        watch = replace(watch, drawn=scored)
    elif scored < FEWEST and watch.drawn == 0:
        update |= {parts.figure: gr.Plot(visible=False), parts.preliminary: ""}
    return update | {parts.watch: replace(watch, state=state)}


def _buttons(parts: Parts, workspace: Workspace, job: jobs.Job, state: str) -> Update:
    finished = runs.is_run(workspace.runs / job.id) and state == jobs.DONE
    return {
        parts.stop: stop_button(job, state),
        parts.resume: gr.Button("Resume", visible=state in RESUMABLE, interactive=True),
        parts.results: gr.Button(visible=finished),
        parts.review: gr.Button(visible=finished),
    }


def _no_job(parts: Parts, workspace: Workspace, session: Session, watch: Watch) -> Update:
    hidden = {part: gr.Button(visible=False) for part in (parts.stop, parts.resume, parts.results, parts.review)}
    return {
        parts.job: "",
        parts.preliminary: "",
        parts.figure: gr.Plot(visible=False),
        parts.runs: run_list.table(workspace, session.run),
        parts.watch: Watch(filled_for=watch.filled_for),
        **hidden,
    }


def _preliminary(parts: Parts, path: Path, state: str) -> Update:
    """Show the entropy per layer of the samples scanned so far, with the verdict on them."""
    try:
        run = _open_runs.get(path, lambda: runs.Run.open(path))
        table = run.table()
        detection = detect_scan(run, table)
    except ByeError as error:
        return {parts.preliminary: note(discreet(error.problem)), parts.figure: gr.Plot(visible=False)}
    unit, side = detection.entropy_unit, figures.suspicious_side(detection)
    entropies = table.with_unit(unit).layer_entropies()
    figure = figures.entropy_figure(detection.layers, entropies, side, unit=UNIT_NAMES[unit])
    words = outcome.result(detection, path.name) if state == jobs.DONE else note(outcome.so_far(detection))
    return {parts.preliminary: words, parts.figure: gr.Plot(figure, visible=True)}


def stop(parts: Parts, session: Session, watch: Watch) -> Iterator[Update]:
    """Stop the followed scan at the next batch, so that no finished batch is lost."""
    job = scan_job.job_named(workspace_of(session.visitor), watch.job)
    yield from stop_job(job, parts.stop)


def resume(parts: Parts, session: Session, watch: Watch) -> Update:
    job = scan_job.job_named(workspace_of(session.visitor), watch.job)
    if job is None:
        return refresh(parts, session, watch)
    resume_job(job)
    return {parts.pulse: gr.Timer(active=True), **refresh(parts, session, replace(watch, state=""))}


def choose_run(parts: Parts, session: Session, watch: Watch, event: gr.EventData) -> Update:
    """Open the clicked run of the list, or follow its scan."""
    if event.job:
        return refresh(parts, session, Watch(event.job, session.run, filled_for=watch.filled_for, data=session.data))
    return _open_run(parts, session, event.run)


def open_watched_run(parts: Parts, session: Session, watch: Watch) -> Update:
    return _open_run(parts, session, watch.job)


def open_demo(parts: Parts, session: Session, _: Watch) -> Update:
    return _open_run(parts, session, demo_run.open_demo(workspace_of(session.visitor)))


def _open_run(parts: Parts, session: Session, name: str) -> Update:
    workspace = workspace_of(session.visitor)
    session = open_run_in(workspace, session, name)
    return {parts.session: session, parts.notice: "", parts.runs: run_list.table(workspace, name)}


def show_error(parts: Parts, error: ByeError, session: Session, watch: Watch, *_: Any) -> Update:
    """Show the message, and the buttons that apply to the followed scan."""
    try:
        return {**refresh(parts, session, watch), parts.notice: alert(error)}
    except ByeError:
        return {parts.notice: alert(error)}
