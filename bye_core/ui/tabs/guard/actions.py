"""The handlers of the Guard tab: offer questions, ask the model, show the judgement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from bye_core.errors import ByeError
from bye_core.guard.judgement import NotTested
from bye_core.runs import Run, jobs
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Session
from bye_core.ui.shared import events
from bye_core.ui.shared.events import Update, needs_visitor
from bye_core.ui.shared.job_card import failure_alert
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.obstacles import obstacle_html
from bye_core.ui.shared.plots import drawn
from bye_core.ui.tabs.guard import answer_card
from bye_core.ui.tabs.guard import job as guard_job
from bye_core.ui.workspace import workspace_of

NOTHING = (
    "The judgement appears here: whether the input looks triggered, how it compares with the run's flagged and other "
    "samples, and the attention of the model on the image."
)


@dataclass(frozen=True)
class Watch:
    """What the page shows now: the job's id and state, and the run whose questions are offered."""

    job: tuple[str, str] = ("", "")
    run: str | None = None


@dataclass(frozen=True)
class Parts(events.Parts):
    watch: gr.State
    pulse: gr.Timer
    image: gr.Image
    question: gr.Dropdown
    notice: gr.HTML
    ask: gr.Button
    answer: gr.HTML
    figure: gr.Plot


@needs_visitor
def enter(parts: Parts, session: Session, watch: Watch) -> Update:
    """Offer the run's questions, show whether the run can be used, and show the latest judgement."""
    run = session_run(session)
    update: Update = {}
    if session.run != watch.run and run is not None:
        questions = guard_job.questions(run)
        update[parts.question] = gr.Dropdown(questions, value=questions[0] if questions else "")
    try:
        guard_job.check_run(run)
        update |= {parts.notice: "", parts.ask: gr.Button(interactive=True)}
    except ByeError as error:
        update |= {parts.notice: _refusal(error, run), parts.ask: gr.Button(interactive=False)}
    return update | refresh(parts, session, replace(watch, run=session.run))


def _refusal(error: ByeError, run: Run | None) -> str:
    """Return the HTML of the reason why no sample can be judged; if the run was not tested, with the remedy."""
    if isinstance(error, NotTested) and run is not None:
        return f"{note('The data set of this run was not tested.')}{obstacle_html(run.detection(), run.path.name)}"
    return alert(error)


@needs_visitor
def refresh(parts: Parts, session: Session, watch: Watch) -> Update:
    """Show the latest judgement. Unchanged parts are not sent again."""
    workspace = workspace_of(session.visitor)
    job = guard_job.latest(workspace)
    state = job.state if job else ""
    now = (job.id if job else "", state)
    if now == watch.job:
        return {parts.watch: watch}
    update: Update = {parts.figure: gr.Plot(visible=False), parts.watch: replace(watch, job=now)}
    if job is None:
        return update | {parts.answer: note(NOTHING)}
    if state == jobs.RUNNING:
        return update | {parts.answer: note("Loading the model and asking the question.")}
    facts = job.result() if state == jobs.DONE else None
    if facts is None:
        return update | {parts.answer: failure_alert(job.error())}
    figure = drawn(answer_card.histogram(workspace, job, facts))
    return update | {parts.answer: answer_card.card(workspace, job, facts), parts.figure: figure}


def start(parts: Parts, session: Session, watch: Watch, image: str | None, question: str | None) -> Update:
    run = guard_job.check_run(session_run(session))
    guard_job.start(workspace_of(session.visitor), run, Path(image) if image else None, question or "")
    return {parts.notice: "", **refresh(parts, session, watch), parts.pulse: gr.Timer(active=True)}


def show_unreadable() -> str:
    """Return the message for a file that Gradio refuses. Gradio itself shows only "Error" and sends no file."""
    return alert(guard_job.NotAnImage())
