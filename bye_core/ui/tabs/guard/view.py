"""Builds the Guard tab: compare a new image and question with the samples of the open run."""

from __future__ import annotations

import gradio as gr

from bye_core.runs.jobs import command_line
from bye_core.ui.session import Frame, Tab, Watcher
from bye_core.ui.shared.events import QUIET, Binder, alert_in
from bye_core.ui.shared.messages import note, off_here
from bye_core.ui.shared.page_value import page_value
from bye_core.ui.tabs.guard import actions
from bye_core.ui.tabs.guard.job import KIND

OFF = "The guard is off on this public demo, because it has to load the model. Run this command on your own machine:"
AT_HOME = command_line("guard", ["--run", "RUN", "--image", "FILE", "--question", "TEXT"])
ABOUT = (
    "Drop an image and enter a question as a user would. The scanned model answers once. The app compares its first "
    "answer token and the attention of that token with the run's samples, by the run's last detection."
)


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.run, and starts one job at a time."""
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab("guard", "Guard", build, off=off_here(OFF, AT_HOME), jobs={KIND: "judging an image with"})


def _lay_out(frame: Frame) -> actions.Parts:
    gr.HTML(note(ABOUT))
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=300):
            image = gr.Image(
                label="Image", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=260,
                elem_id="guard-picture",
            )  # fmt: skip
            question = gr.Dropdown(
                [], label="Question", info="from the run, or your own", allow_custom_value=True, interactive=True,
                elem_id="guard-question",
            )  # fmt: skip
            notice = gr.HTML(elem_id="guard-notice")
            ask = gr.Button("Ask the model", variant="primary", elem_id="guard-ask")
        with gr.Column(scale=3, min_width=300):
            answer = gr.HTML(note(actions.NOTHING), elem_id="guard-answer")
            figure = gr.Plot(visible=False, show_label=False, elem_id="guard-figure")
    return actions.Parts(
        frame.session, page_value(actions.Watch()), frame.pulse, image, question, notice, ask, answer, figure
    )  # fmt: skip


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known = parts.all(), [parts.session, parts.watch]
    bind = Binder(parts, alert_in(parts.notice))

    tab.select(bind(actions.enter), known, outputs, **QUIET)
    frame.watchers.append(Watcher(bind(actions.refresh), known, outputs))
    asking = parts.ask.click(bind(actions.start), [*known, parts.image, parts.question], outputs, **QUIET)
    asking.failure(actions.show_unreadable, None, parts.notice, **QUIET)
