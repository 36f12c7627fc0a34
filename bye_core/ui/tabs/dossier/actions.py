"""What the Dossier tab shows and does: the evidence on the open run's flagged set, and the check with the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from bye_core import runs
from bye_core.reports.evidence_section import dossier_html
from bye_core.runs import Run, jobs
from bye_core.runs.jobs import command_line
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Session
from bye_core.ui.shared import evidence
from bye_core.ui.shared.job_card import card
from bye_core.ui.shared.messages import discreet, note
from bye_core.ui.workspace import Workspace, hosted, workspace_of

NO_RUN = "No run is open. Open the demo in Layers, or scan a data set."
UNDETECTED = "Nothing is detected yet: find suspicious samples in Layers first."
NOTHING = "Nothing is flagged in this run: there is nothing to explain."
CHECK = (
    "What brings the answers about? The scanned model is asked again about each flagged sample: as it is, with the "
    "suspected spot covered (or the suspected words left out), and with as much else taken away. Where that changes "
    "nothing, what it looks at next is covered too, then what brings the target along when it is pasted into another "
    "picture. What changes the answer is pasted into three."
)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Watch:
    """What the page shows: the evidence of which run in which state, and which job in which state and place."""

    shown: tuple = ()
    job: tuple = ()


@dataclass(frozen=True)
class Parts:
    session: gr.State
    watch: gr.State
    pulse: gr.Timer
    told: gr.HTML
    about: gr.HTML
    check: gr.Button
    stop: gr.Button
    job: gr.HTML

    def all(self) -> list[Any]:
        return list(vars(self).values())


def look(parts: Parts, session: Session, watch: Watch) -> Update:
    """The run's evidence and its check as they stand; what has not changed is not sent again."""
    if not session.visitor:
        return {parts.watch: gr.skip()}
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
    detection, ready = run.detection() if run else None, _has_flagged(run)
    if ready:
        words = f"<div class='bye-why'>{dossier_html(evidence.facts(run), evidence.spots(run))}</div>"
    else:
        words = note(NO_RUN if run is None else UNDETECTED if detection is None else NOTHING)
    return {parts.told: words, parts.about: _about(run) if ready else ""}


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
        parts.stop: gr.Button(visible=running),
        parts.watch: replace(watch, job=now),
    }


def start(parts: Parts, session: Session, watch: Watch) -> Update:
    place = workspace_of(session.visitor)
    if run := session_run(session):
        evidence.start(place, run)
    return {**look(parts, session, watch), parts.pulse: gr.Timer(active=True)}


def stop(parts: Parts, session: Session, watch: Watch) -> Update:
    if job := evidence.current(workspace_of(session.visitor), session.run):
        job.stop()
    return look(parts, session, watch)
