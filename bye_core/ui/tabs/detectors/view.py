"""Builds the Detectors tab: all methods side by side on the open run."""

from __future__ import annotations

import gradio as gr

from bye_core.ui.adjust.view import TRIAL
from bye_core.ui.session import Frame, Tab
from bye_core.ui.shared.bridge import CLICKS, changed
from bye_core.ui.shared.events import QUIET, SESSION, Binder
from bye_core.ui.tabs.detectors import actions as page
from bye_core.ui.tabs.detectors.actions import NO_LIST, Parts

NAME = "detectors"
DRAW = {**QUIET, "trigger_mode": "always_last"}
# Methods run for one visitor at a time, because each uses a whole core.
RUN = {**QUIET, "concurrency_id": "detectors", "concurrency_limit": 1}


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads the session and the trial.

    "Try" writes the trial, and "Use" the run's detection and session.revision. Lists write session.sample and
    session.selection.
    """
    notice = gr.HTML(elem_id="detectors-notice", padding=False)
    with gr.Row(elem_classes="bye-actions"):
        start = gr.Button(
            "Run all methods", variant="primary", visible=False, scale=0, min_width=240, elem_id="detectors-run"
        )
        stop = gr.Button("Stop", variant="stop", visible=False, scale=0, min_width=120, elem_id="detectors-stop")
    status = gr.HTML(elem_id="detectors-status", padding=False)
    table = gr.HTML(elem_id="detectors-table", padding=False, js_on_load=CLICKS)
    samples = gr.HTML(elem_id="detectors-samples", padding=False, js_on_load=CLICKS)
    chosen = gr.State(NO_LIST)
    parts = Parts(frame.session, frame.trial, frame.tabs, chosen, notice, start, stop, status, table, samples)
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Detectors", build, styles=("detectors.css",))


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known = parts.all(), [parts.session, parts.trial, parts.chosen]
    bound = Binder(parts, lambda error, *_: page.show_failure(parts, error))
    # Drawing does not wait for the methods of other visitors.
    entered = tab.select(bound(page.draw), known, outputs, **DRAW).then(
        bound(page.run_if_small), known, outputs, **RUN
    )  # fmt: skip
    for state in ("session", "trial"):
        changed(frame.bridge, state, NAME)(bound(page.draw), known, outputs, **DRAW)
    running = parts.start.click(bound(page.run_all), known, outputs, **RUN)
    parts.stop.click(bound(page.draw), known, outputs, cancels=[running, entered], **QUIET)
    parts.table.click(bound(page.clicked), known, outputs, **TRIAL)
    parts.samples.click(bound(page.open_samples), known, outputs, **SESSION)
