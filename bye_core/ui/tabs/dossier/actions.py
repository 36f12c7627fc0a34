"""The handlers of Dossier: show the evidence on the flagged samples, and run the causal check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape

import gradio as gr

from bye_core import runs
from bye_core.reports.evidence_section import dossier_html
from bye_core.runs import Run, jobs
from bye_core.runs.jobs import command_line
from bye_core.ui.adjust.comparison import NotReady
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Session
from bye_core.ui.shared import events, evidence
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.job_card import card
from bye_core.ui.shared.messages import discreet, note
from bye_core.ui.shared.obstacles import not_ready, obstacle_html
from bye_core.ui.shared.stop_button import stop_button, stop_job
from bye_core.ui.workspace import Workspace, hosted, workspace_of

NO_RUN = NotReady(state="closed", what="No run is open.", advice="The dossier explains the flags of a run.")
UNDETECTED = NotReady(state="undetected", what="No detection has run yet.", advice="The dossier explains its flags.")
NOTHING = "No sample of this run is flagged, so there is nothing to explain."
CHECK = (
    "What causes the answers? The scanned model answers each flagged sample again: unchanged, with the suspected spot "
    "covered or the suspected words removed, and with an equally large control removed. If the answer stays the same, "
    "further attention peaks are covered. A spot that changes the answer is pasted into three other images."
)


@dataclass(frozen=True)
class Watch:
    """What the page shows now: the state of the run and the state of the job. Unchanged parts are not sent again."""

    shown: tuple = ()
    job: tuple = ()


@dataclass(frozen=True)
class Parts(events.Parts):
    watch: gr.State
    pulse: gr.Timer
    evidence: gr.HTML
    about: gr.HTML
    check: gr.Button
    stop: gr.Button
    job: gr.HTML


@needs_visitor
def look(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the evidence and the causal check. Parts that have not changed are not sent again."""
    place = workspace_of(session.visitor)
    run = session_run(session)
    state = (session.run, *(runs.stamps(run.path) if run else ()))
    update: Update = {}
    if state != watch.shown:
        update |= _evidence(parts, run)
        watch = replace(watch, shown=state)
    return update | _job(parts, place, run, watch)


def _has_flagged(run: Run | None) -> bool:
    detection = run.detection() if run else None
    return detection is not None and bool(detection.flagged.any())


def _evidence(parts: Parts, run: Run | None) -> Update:
    if run is None:
        return {parts.evidence: not_ready(NO_RUN), parts.about: ""}
    if not _has_flagged(run):
        detection = run.detection()
        words = not_ready(UNDETECTED) if detection is None else note(NOTHING)
        return {parts.evidence: words + obstacle_html(detection, run.path.name), parts.about: ""}
    words = f"<div class='bye-why'>{dossier_html(evidence.facts(run), evidence.run_gallery(run))}</div>"
    return {parts.evidence: words, parts.about: _about(run)}


def _about(run: Run) -> str:
    command = escape(discreet(command_line(evidence.KIND, evidence.arguments(run.path))))
    shown = f"<pre class='bye-why-command'><code>{command}</code></pre>"
    return f"<h3 class='bye-why-ask'>Ask the model</h3>{note(CHECK)}{shown}"


def _job(parts: Parts, place: Workspace, run: Run | None, watch: Watch) -> Update:
    job = evidence.current(place, run.path.name) if run else None
    running = job is not None and job.state == jobs.RUNNING
    now = (*watch.shown, *((job.id, job.state, job.progress().done) if job else ()))
    if now == watch.job:
        return {parts.watch: watch}
    return {
        parts.job: card(place, job) if job else "",
        parts.check: gr.Button(visible=_has_flagged(run) and not hosted(), interactive=not running),
        parts.stop: stop_button(job, jobs.RUNNING if running else ""),
        parts.watch: replace(watch, job=now),
    }


def start(parts: Parts, session: Session, watch: Watch) -> Update:
    place = workspace_of(session.visitor)
    if run := session_run(session):
        evidence.start(place, run)
    return {**look(parts, session, watch), parts.pulse: gr.Timer(active=True)}


def stop(parts: Parts, session: Session, _: Watch) -> Iterator[Update]:
    yield from stop_job(evidence.current(workspace_of(session.visitor), session.run), parts.stop)


def stopped(parts: Parts, session: Session, watch: Watch) -> Update:
    return look(parts, session, replace(watch, job=()))
