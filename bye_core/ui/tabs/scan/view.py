"""Scan: read where the model looks for every sample, in a job of its own; the list of all runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.tabs.scan import actions as page
from bye_core.ui.tabs.scan.job import AUTO
from bye_core.ui.workspace import hosted

BATCHES = (AUTO, "1", "2", "4", "8", "16", "32", "64", "128")
DEVICES = (AUTO, "cpu", "cuda", "mps")
DTYPES = (AUTO, "float32", "bfloat16", "float16")
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-run], [data-job]');
  if (button) trigger('click', { run: button.dataset.run || '', job: button.dataset.job || '' });
});"""
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.data, session.run. Writes: session.run. Starts and stops jobs of the workspace."""
    parts = _lay_out(frame)
    _listen(parts, frame)


TAB = Tab("scan", "Scan", build)


def _lay_out(frame: Frame) -> page.Parts:
    notice, data = gr.HTML(elem_id="scan-notice"), gr.HTML(page.note(page.NO_DATA), elem_id="scan-data")
    choose = gr.Button("Choose a data set", variant="primary", elem_id="scan-choose", scale=0, min_width=200)
    fields = _form()
    command = gr.Code(
        label="The same on the command line", interactive=False, elem_id="scan-command",
        show_line_numbers=False, wrap_lines=True, lines=1, buttons=["copy"],
    )  # fmt: skip
    with gr.Row(elem_classes="bye-actions"):
        start = gr.Button(
            "Start the scan", variant="primary", interactive=False, elem_id="scan-start", scale=0, min_width=200
        )
    job = gr.HTML(elem_id="scan-job")
    with gr.Row(elem_classes="bye-actions"):
        stop = gr.Button("Stop", variant="stop", visible=False, elem_id="scan-stop", scale=0, min_width=140)
        resume = gr.Button("Resume", variant="primary", visible=False, elem_id="scan-resume", scale=0, min_width=140)
        results = gr.Button("See its layers", variant="primary", visible=False, elem_id="scan-results", scale=0)
        review = gr.Button("Review its samples", visible=False, elem_id="scan-review", scale=0, min_width=230)
    sofar = gr.HTML(elem_id="scan-sofar")
    figure = gr.Plot(visible=False, show_label=False, elem_id="scan-figure")
    runs = gr.HTML(js_on_load=CLICKS, elem_id="scan-runs")
    demo = gr.Button("Open the demo", size="sm", visible=False, elem_id="scan-demo", scale=0)
    return page.Parts(
        frame.session, gr.State(page.Watch()), frame.pulse, notice, data, choose, fields, command, start, job, stop,
        resume, results, review, sofar, figure, runs, demo,
    )  # fmt: skip


def _form() -> tuple[Any, ...]:
    """The fields in the order of scans.Form."""
    where = "owner/name on the hub" if hosted() else "a folder, or owner/name on the hub"
    with gr.Row():
        model = gr.Dropdown(
            [], label="Model", info=f"The model that is fine-tuned on this set: {where}",
            allow_custom_value=True, interactive=True, min_width=280, elem_id="scan-model",
        )  # fmt: skip
        adapter = gr.Dropdown(
            [("none", "")], value="", label="Adapter", info="Its LoRA fine-tune on this very set: only then a "
            "back door shows", allow_custom_value=True, interactive=True, min_width=280, elem_id="scan-adapter",
        )  # fmt: skip
    with gr.Accordion("Settings", open=False, elem_id="scan-settings"), gr.Row():
        name = gr.Textbox(label="Name of the run", placeholder="automatic", max_lines=1, elem_id="scan-name")
        batch = gr.Dropdown(BATCHES, value=AUTO, label="Samples at a time", elem_id="scan-batch")
        device = gr.Dropdown(DEVICES, value=AUTO, label="Device", visible=not hosted(), elem_id="scan-device")
        dtype = gr.Dropdown(DTYPES, value=AUTO, label="Precision", visible=not hosted(), elem_id="scan-dtype")
        answers = gr.Checkbox(
            True, label="Read the answers too", elem_id="scan-answers",
            info="How likely each is, before and after fine-tuning: two more passes; faint triggers show only then",
        )  # fmt: skip
    return model, adapter, name, batch, device, dtype, answers


def _listen(parts: page.Parts, frame: Frame) -> None:
    outputs, session, fields = parts.all(), frame.session, list(parts.fields)

    def bound(function: Any) -> Any:
        """`function(parts, session, ...)`; after a failure: the message, and buttons as the job stands."""

        def handler(current: Session, watch: page.Watch, *values: Any) -> page.Update:
            try:
                return function(parts, current, watch, *values)
            except ByeError as error:
                return page.failed(parts, current, watch, error)

        return handler

    def stop(current: Session, watch: page.Watch) -> Iterator[page.Update]:
        try:
            yield from page.stop(parts, current, watch)
        except ByeError as error:
            yield page.failed(parts, current, watch, error)

    def listed(current: Session, watch: page.Watch, event: gr.EventData) -> page.Update:
        if event.job:
            return bound(lambda p, s, w: page.show_job(p, s, w, event.job))(current, watch)
        return bound(lambda p, s, w: page.open_run(p, s, event.run))(current, watch)

    known = [session, parts.watch]
    frame.opened.change(bound(page.refresh), [*known, *fields], outputs, **QUIET)
    frame.pulse.tick(bound(page.look), known, outputs, concurrency_limit=4, **QUIET)
    gr.on(
        [field.change for field in fields], bound(lambda p, s, w, *values: page.preview(p, s, *values)),
        [*known, *fields], parts.command, trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    starting = bound(page.start)
    parts.start.click(starting, [*known, *fields], outputs, api_visibility="private", show_progress_on=[parts.command])
    parts.stop.click(stop, known, outputs, **QUIET)
    parts.resume.click(bound(page.resume), known, outputs, **QUIET)
    parts.runs.click(listed, known, outputs, **QUIET)
    parts.choose.click(lambda: gr.Tabs(selected="data"), None, frame.tabs, **QUIET)
    parts.demo.click(bound(lambda p, s, w: page.open_demo(p, s)), known, outputs, **QUIET)
    for button, tab in ((parts.results, "layers"), (parts.review, "review")):
        opening = button.click(bound(lambda p, s, w: page.open_run(p, s, w.job)), known, outputs, **QUIET)
        opening.then(partial(gr.Tabs, selected=tab), None, frame.tabs, **QUIET)
