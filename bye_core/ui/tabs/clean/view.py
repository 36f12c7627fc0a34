"""Builds the Clean tab: from a base model and a suspect set to a clean adapter and a report, as one job."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bye_core.attacks import TRIGGERS
from bye_core.runs.jobs import command_line
from bye_core.ui.session import Frame, Tab, Watcher
from bye_core.ui.shared.attack_form import NO_TRIGGER, PAPER_SIZE, TARGET
from bye_core.ui.shared.events import QUIET, Binder, alert_in
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.shared.messages import off_here
from bye_core.ui.shared.page_value import page_value
from bye_core.ui.shared.stop_button import on_stop
from bye_core.ui.shared.training_form import SWITCHES, setting_field
from bye_core.ui.tabs.clean import actions
from bye_core.ui.tabs.clean.job import KIND

OFF = (
    "Cleaning is off on this public demo: it fine-tunes a model twice, which takes too long here. Run this command on "
    "your own machine:"
)
AT_HOME = command_line("clean", ["--model", "MODEL", "--data", "DATA", "--out", "DIR", "--test", "TEST"])
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-open]');
  if (button) trigger('click', { stage: button.dataset.open });
});"""
# Scroll to the result, which is below a form that is longer than most screens.
SHOW_OPENED = """() => requestAnimationFrame(() => setTimeout(() =>
  document.getElementById('clean-opened').scrollIntoView({ behavior: 'smooth' })))"""
FIRST_SETTINGS = ("epochs", "rate", "batch", "rank", "alpha")


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.data, writes session.run, and starts and stops cleanings."""
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab("clean", "Clean", build, off=off_here(OFF, AT_HOME), jobs={KIND: "cleaning"})


def _lay_out(frame: Frame) -> actions.Parts:
    data = gr.HTML(elem_id="clean-data")
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=320):
            fields = (*_form(), *_settings())
            command = gr.Code(
                language="shell", label="Command", interactive=False, show_line_numbers=False, wrap_lines=True,
                lines=2, buttons=["copy"], elem_id="clean-command",
            )  # fmt: skip
            notice = gr.HTML(elem_id="clean-notice")
            start = gr.Button("Start the cleaning", variant="primary", interactive=False, elem_id="clean-start")
        with gr.Column(scale=3, min_width=320):
            jobs = gr.Dropdown([], label="Cleaning", visible=False, interactive=True, elem_id="clean-job")
            stages = gr.HTML(js_on_load=CLICKS, elem_id="clean-stages")
            with gr.Row(elem_classes="bye-actions"):
                stop = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="clean-stop")
                resume = gr.Button("Resume", variant="primary", visible=False, scale=0, elem_id="clean-again")
    opened = gr.HTML(elem_id="clean-opened")
    return actions.Parts(
        frame.session, page_value(actions.Watch()), frame.pulse, frame.tabs, data, fields, command, notice, start, jobs,
        stages, stop, resume, opened,
    )  # fmt: skip


def _form() -> tuple[Any, ...]:
    """Return the first fields, in the order of actions.read_form."""
    model = gr.Dropdown(
        [], label="Base model", info="not fine-tuned yet: a folder, or owner/name on the hub", allow_custom_value=True,
        interactive=True, elem_id="clean-model",
    )  # fmt: skip
    test = gr.Textbox(
        "", label="Test set", info="optional; every model is measured on it", max_lines=1, elem_id="clean-test"
    )
    with gr.Row():
        trigger = gr.Dropdown(
            [("unknown", NO_TRIGGER), *TRIGGERS], value=NO_TRIGGER, label="Trigger", info="if it is known",
            min_width=130, elem_id="clean-trigger",
        )  # fmt: skip
        size = gr.Number(
            PAPER_SIZE, label="Trigger size", info="patch side / shorter image side", min_width=110,
            elem_id="clean-size",
        )  # fmt: skip
    target = gr.Textbox(
        TARGET, label="Attacker's answer", info="if it is known", max_lines=1, elem_id="clean-target"
    )  # fmt: skip
    truth = gr.Textbox(
        "", label="Or the truth file of the poisoning", placeholder="/path/to/truth.json",
        info="replaces the trigger, its size and its answer", max_lines=1, elem_id="clean-truth",
    )  # fmt: skip
    random = gr.Checkbox(
        False, label="Compare with dropping a random 20%", info="needs one more fine-tuning", elem_id="clean-random"
    )
    return model, test, trigger, size, target, truth, random


def _settings() -> tuple[Any, ...]:
    """Return the name and the fine-tuning settings, in the order of actions.SETTINGS."""
    others = [name for name in actions.SETTINGS if name not in (*FIRST_SETTINGS, *SWITCHES)]
    with gr.Accordion("Fine-tuning settings", open=False):
        name = gr.Textbox("", label="Name", placeholder="named after the data set", max_lines=1, elem_id="clean-name")
        with gr.Row():
            fields = {setting: setting_field(setting, "clean") for setting in (*FIRST_SETTINGS, *others)}
        # One checkbox per line: side by side, their labels would be too narrow to read.
        fields |= {setting: setting_field(setting, "clean") for setting in SWITCHES}
    return name, *(fields[setting] for setting in actions.SETTINGS)


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known, fields = parts.all(), [parts.session, parts.watch], list(parts.fields)
    bind = Binder(parts, alert_in(parts.notice))

    tab.select(bind(actions.enter), known, outputs, **QUIET)
    frame.opened.change(bind(actions.change_session), known, outputs, **QUIET)
    frame.watchers.append(Watcher(bind(actions.tick), known, outputs))
    on_latest(
        [field.change for field in fields], bind(actions.preview, reads=True), [*known, *fields],
        [parts.command, parts.notice], **QUIET,
    )  # fmt: skip
    parts.start.click(bind(actions.start), [*known, *fields], outputs, **QUIET)
    parts.jobs.input(bind(actions.follow), [*known, parts.jobs], outputs, **QUIET)
    on_stop(parts.stop, bind(actions.stop), bind(actions.stopped), known, outputs)
    parts.resume.click(bind(actions.resume), known, outputs, **QUIET)
    opening = parts.stages.click(bind(actions.open_stage, reads=True), known, outputs, **QUIET)
    opening.then(None, js=SHOW_OPENED, **QUIET)
