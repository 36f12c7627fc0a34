"""Builds the Scan tab: start a scan, follow it, and list all runs."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from bye_core.ui.session import Frame, Tab, Watcher
from bye_core.ui.shared.devices import DTYPES, device_choices
from bye_core.ui.shared.events import QUIET, Binder, open_tab
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.shared.messages import note
from bye_core.ui.shared.obstacles import STATEMENT
from bye_core.ui.shared.page_value import page_value
from bye_core.ui.shared.stop_button import on_stop
from bye_core.ui.tabs.scan import actions
from bye_core.ui.tabs.scan.job import AUTO, KIND
from bye_core.ui.workspace import hosted

BATCHES = (AUTO, "1", "2", "4", "8", "16", "32", "64", "128")
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-run], [data-job]');
  if (button) trigger('click', { run: button.dataset.run || '', job: button.dataset.job || '' });
});"""


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.data and session.run, writes session.run, and starts and stops scans."""
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab("scan", "Scan", build, jobs={KIND: "scanning"})


def _lay_out(frame: Frame) -> actions.Parts:
    notice, data = gr.HTML(elem_id="scan-notice"), gr.HTML(note(actions.NO_DATA), elem_id="scan-data")
    choose = gr.Button("Choose another data set", size="sm", elem_id="scan-choose", scale=0, min_width=200)
    fields, expected = _form(), gr.HTML(elem_id="scan-expected")
    command = gr.Code(
        label="Command", interactive=False, elem_id="scan-command",
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
        results = gr.Button("Show its layers", variant="primary", visible=False, elem_id="scan-results", scale=0)
        review = gr.Button("Review its samples", visible=False, elem_id="scan-review", scale=0, min_width=230)
    preliminary = gr.HTML(elem_id="scan-sofar")
    figure = gr.Plot(visible=False, show_label=False, elem_id="scan-figure")
    runs = gr.HTML(js_on_load=CLICKS, elem_id="scan-runs")
    demo = gr.Button("Open the demo", size="sm", visible=False, elem_id="scan-demo", scale=0)
    return actions.Parts(
        frame.session, page_value(actions.Watch()), frame.pulse, notice, data, choose, fields, expected, command, start,
        job, stop, resume, results, review, preliminary, figure, runs, demo,
    )  # fmt: skip


def _form() -> tuple[Any, ...]:
    """Return the fields in the order of job.Form."""
    where = "owner/name on the hub" if hosted() else "a folder, or owner/name on the hub"
    with gr.Row():
        model = gr.Dropdown(
            [], label="Model", info=f"the model that is fine-tuned on this set: {where}",
            allow_custom_value=True, interactive=True, min_width=280, elem_id="scan-model",
        )  # fmt: skip
        adapter = gr.Dropdown(
            [("none", "")], value="", label="Adapter", info="LoRA weights fine-tuned on this set",
            allow_custom_value=True, interactive=True, min_width=280, elem_id="scan-adapter",
        )  # fmt: skip
    tuned = gr.Checkbox(
        False, label=STATEMENT, elem_id="scan-tuned",
        info="needed without an adapter, and for an adapter that was trained elsewhere; the run remembers it",
    )  # fmt: skip
    with gr.Accordion("Settings", open=False, elem_id="scan-settings"):
        with gr.Row():
            name = gr.Textbox(label="Name of the run", placeholder="automatic", max_lines=1, elem_id="scan-name")
            batch = gr.Dropdown(BATCHES, value=AUTO, label="Batch size", elem_id="scan-batch")
            device = gr.Dropdown(
                device_choices(), value=AUTO, label="Device", allow_custom_value=True, visible=not hosted(),
                elem_id="scan-device",
            )  # fmt: skip
            dtype = gr.Dropdown(DTYPES, value=AUTO, label="Precision", visible=not hosted(), elem_id="scan-dtype")
            least, most = (
                gr.Number(
                    0, label=f"{which} pixels", info="of a resized image; 0: the model's or the adapter's",
                    precision=0, minimum=0, elem_id=f"scan-{name}-pixels", min_width=160,
                )
                for which, name in (("Least", "min"), ("Most", "max"))
            )  # fmt: skip
        # One below the other: Gradio gives a checkbox beside a field no width of its own.
        before = gr.Dropdown(
            [actions.NO_MODEL], value="", label="Model before fine-tuning", allow_custom_value=True, interactive=True,
            info="only for a fully fine-tuned model, that is, without an adapter", elem_id="scan-before",
        )  # fmt: skip
        answers = gr.Checkbox(
            True, label="Read the answers too", elem_id="scan-answers",
            info="how likely each was before and after fine-tuning; Auto then also finds planted answers that look "
            "usual (one more pass)",
        )  # fmt: skip
    return model, adapter, name, batch, device, dtype, before, least, most, answers, tuned


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known, fields = parts.all(), [parts.session, parts.watch], list(parts.fields)
    bind = Binder(parts, on_error=partial(actions.show_error, parts))

    frame.opened.change(bind(actions.enter), [*known, *fields], outputs, **QUIET)
    tab.select(bind(actions.offer_adapters, reads=True), [*known, *fields], outputs, **QUIET)
    frame.watchers.append(Watcher(bind(actions.refresh), known, outputs))
    on_latest(
        [field.change for field in fields], bind(actions.preview, reads=True), [*known, *fields],
        [parts.command, parts.expected], **QUIET,
    )  # fmt: skip
    # The statement was about the model and the adapter that were chosen before.
    gr.on([field.input for field in fields[:2]], None, None, fields[-1], js="() => false", **QUIET)
    parts.start.click(
        bind(actions.start), [*known, *fields], outputs, api_visibility="private", show_progress_on=[parts.command]
    )
    on_stop(parts.stop, bind(actions.stop), bind(actions.refresh), known, outputs)
    parts.resume.click(bind(actions.resume), known, outputs, **QUIET)
    parts.runs.click(bind(actions.choose_run), known, outputs, **QUIET)
    parts.choose.click(open_tab("data"), None, frame.tabs, **QUIET)
    parts.demo.click(bind(actions.open_demo, reads=True), known, outputs, **QUIET)
    for button, tab in ((parts.results, "layers"), (parts.review, "review")):
        opening = button.click(bind(actions.open_watched_run, reads=True), known, outputs, **QUIET)
        opening.then(open_tab(tab), None, frame.tabs, **QUIET)
