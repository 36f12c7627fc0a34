"""Guard: a new picture and question held against the open run, to probe a model that is in use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.runs.jobs import command_line
from bye_core.ui.open_run import session_run
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.job_card import failure_alert
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.plots import drawn
from bye_core.ui.tabs.guard import job as guard_job
from bye_core.ui.workspace import hosted, workspace_of

QUIET = {"api_visibility": "private", "show_progress": "hidden"}
OFF = "The guard asks a model, which this public demo does not do for single pictures. At home it is one command:"
AT_HOME = command_line("guard", ["--run", "RUN", "--image", "FILE", "--question", "TEXT"])
ABOUT = (
    "Drop a picture and ask what a user would ask: the model that this run scanned is asked once, and what its first "
    "answer token is and looks at is held against the run's flagged and other samples, as its last detection does."
)
NOTHING = (
    "What comes of a question stands here: whether it looks triggered, how far it is from the run's flagged and other "
    "samples, and where in the picture the judging layers look."
)
Update = dict[Any, Any]


@dataclass(frozen=True)
class Watch:
    """What the page shows: of which job in which state, and for which run the questions are."""

    shown: tuple[str, str] = ("", "")
    run: str | None = None


@dataclass(frozen=True)
class Parts:
    session: gr.State
    watch: gr.State
    pulse: gr.Timer
    picture: gr.Image
    question: gr.Dropdown
    notice: gr.HTML
    ask: gr.Button
    answer: gr.HTML
    figure: gr.Plot

    def all(self) -> list[Any]:
        return list(vars(self).values())


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.run. Starts jobs of the workspace: one question at a time."""
    if hosted():
        gr.HTML(f"<div class='bye-off'><p>{OFF}</p><pre><code>{escape(AT_HOME)}</code></pre></div>")
        return
    gr.HTML(note(ABOUT))
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=300):
            picture = gr.Image(
                label="Picture", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=260,
                elem_id="guard-picture",
            )  # fmt: skip
            question = gr.Dropdown(
                [], label="Question", info="one of the run's, or your own", allow_custom_value=True,
                interactive=True, elem_id="guard-question",
            )  # fmt: skip
            notice = gr.HTML(elem_id="guard-notice")
            ask = gr.Button("Ask", variant="primary", elem_id="guard-ask")
        with gr.Column(scale=3, min_width=300):
            answer = gr.HTML(note(NOTHING), elem_id="guard-answer")
            figure = gr.Plot(visible=False, show_label=False, elem_id="guard-figure")
    parts = Parts(frame.session, gr.State(Watch()), frame.pulse, picture, question, notice, ask, answer, figure)
    _listen(parts, frame, tab)


TAB = Tab("guard", "Guard", build)


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known = parts.all(), [frame.session, parts.watch]

    def bound(function: Callable[..., Update]) -> Callable[..., Update]:
        """`function(parts, session, watch, ...)` with its failures turned into words."""

        def handler(current: Session, watch: Watch, *values: Any) -> Update:
            try:
                return function(parts, current, watch, *values)
            except ByeError as error:
                return {parts.notice: alert(error)}

        return handler

    tab.select(bound(enter), known, outputs, **QUIET)
    frame.pulse.tick(bound(look), known, outputs, **QUIET)
    asking = parts.ask.click(bound(start), [*known, parts.picture, parts.question], outputs, **QUIET)
    # Gradio does not hand on a file that is no picture, and says no more than "Error".
    asking.failure(lambda: alert(guard_job.NotAPicture()), None, parts.notice, **QUIET)


def enter(parts: Parts, session: Session, watch: Watch) -> Update:
    """The tab was chosen: the run's questions, whether it can judge at all, and what was asked last."""
    if not session.visitor:
        return {parts.watch: gr.skip()}
    run = session_run(session)
    update: Update = {}
    if session.run != watch.run and run is not None:
        offered = guard_job.questions(run)
        first = offered[0] if offered else ""
        update[parts.question] = gr.Dropdown(offered, value=first)
    try:
        guard_job.check_run(run)
        update |= {parts.notice: "", parts.ask: gr.Button(interactive=True)}
    except ByeError as error:
        update |= {parts.notice: alert(error), parts.ask: gr.Button(interactive=False)}
    return update | look(parts, session, replace(watch, run=session.run))


def look(parts: Parts, session: Session, watch: Watch) -> Update:
    """What was asked last, as it stands; what has not changed is not sent again."""
    if not session.visitor:
        return {parts.watch: gr.skip()}
    place = workspace_of(session.visitor)
    job = guard_job.current(place)
    now = (job.id, job.state) if job else ("", "")
    if now == watch.shown:
        return {parts.watch: watch}
    watch = replace(watch, shown=now)
    if job is None:
        return {parts.answer: note(NOTHING), parts.figure: gr.Plot(visible=False), parts.watch: watch}
    facts = job.result() if now[1] == jobs.DONE else None
    if facts is None:
        words = note("The model is being loaded and asked.") if now[1] == jobs.RUNNING else failure_alert(job.error())
        return {parts.answer: words, parts.figure: gr.Plot(visible=False), parts.watch: watch}
    figure = drawn(guard_job.histogram(place, job, facts))
    return {parts.answer: guard_job.card(place, job, facts), parts.figure: figure, parts.watch: watch}


def start(parts: Parts, session: Session, watch: Watch, picture: str | None, question: str | None) -> Update:
    run = session_run(session)
    guard_job.check_run(run)
    guard_job.start(workspace_of(session.visitor), run, Path(picture) if picture else None, question or "")
    return {parts.notice: "", **look(parts, session, watch), parts.pulse: gr.Timer(active=True)}
