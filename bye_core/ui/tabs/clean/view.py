"""Clean: from a raw model and a suspect set to a clean adapter and a report, as one job with its stages shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import gradio as gr

from bye_core.attacks import TRIGGERS
from bye_core.errors import ByeError
from bye_core.runs.jobs import command_line
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.attack_form import PAPER_SIZE, TARGET
from bye_core.ui.shared.messages import alert
from bye_core.ui.shared.training_form import WORDS
from bye_core.ui.tabs.clean import actions as page
from bye_core.ui.tabs.clean import job as clean_job
from bye_core.ui.workspace import hosted

QUIET = {"api_visibility": "private", "show_progress": "hidden"}
OFF = "Cleaning from raw fine-tunes a model twice, which this public demo is too small for. At home it is one command:"
AT_HOME = command_line("clean", ["--model", "MODEL", "--data", "DATA", "--out", "DIR", "--test", "TEST"])
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-open]');
  if (button) trigger('click', { stage: button.dataset.open });
});"""
# It is below a form that is higher than many screens.
SHOW_OPENED = """() => requestAnimationFrame(() => setTimeout(() =>
  document.getElementById('clean-opened').scrollIntoView({ behavior: 'smooth' })))"""
MAIN = ("epochs", "rate", "batch", "rank", "alpha")


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.data. Writes: session.run. Starts and stops jobs of the workspace: cleanings."""
    if hosted():
        gr.HTML(f"<div class='bye-off'><p>{OFF}</p><pre><code>{escape(AT_HOME)}</code></pre></div>")
        return
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab("clean", "Clean", build)


def _lay_out(frame: Frame) -> page.Parts:
    data = gr.HTML(elem_id="clean-data")
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=320):
            fields = _form()
            command = gr.Code(
                language="shell", label="What runs", interactive=False, show_line_numbers=False, wrap_lines=True,
                lines=2, elem_id="clean-command",
            )  # fmt: skip
            notice = gr.HTML(elem_id="clean-notice")
            start = gr.Button("Clean from raw", variant="primary", interactive=False, elem_id="clean-start")
        with gr.Column(scale=3, min_width=320):
            known = gr.Dropdown([], label="Cleaning", visible=False, interactive=True, elem_id="clean-job")
            stages = gr.HTML(js_on_load=CLICKS, elem_id="clean-stages")
            with gr.Row(elem_classes="bye-actions"):
                stop = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="clean-stop")
                again = gr.Button("Go on", variant="primary", visible=False, scale=0, elem_id="clean-again")
    opened = gr.HTML(elem_id="clean-opened")
    return page.Parts(
        frame.session, gr.State(page.Watch()), frame.pulse, frame.tabs, data, fields, command, notice, start, known,
        stages, stop, again, opened,
    )  # fmt: skip


def _form() -> tuple[Any, ...]:
    """The fields in the order that page.form_of reads them in."""
    model = gr.Dropdown(
        [], label="Raw model", info="not fine-tuned yet: a folder, or owner/name on the hub", allow_custom_value=True,
        interactive=True, elem_id="clean-model",
    )  # fmt: skip
    test = gr.Textbox(
        "", label="Test set", info="to measure every model on; may be left out", max_lines=1, elem_id="clean-test"
    )
    with gr.Row():
        trigger = gr.Dropdown(
            [("unknown", clean_job.NO_TRIGGER), *TRIGGERS], value=clean_job.NO_TRIGGER, label="Trigger",
            info="where it is known", min_width=130, elem_id="clean-trigger",
        )  # fmt: skip
        size = gr.Number(PAPER_SIZE, label="Its size", info="of the short side", min_width=110, elem_id="clean-size")
    target = gr.Textbox(
        TARGET,
        label="Its answer",
        info="the attacker's, where it is known",
        max_lines=1,
        elem_id="clean-target",
    )
    truth = gr.Textbox(
        "", label="Or the truth file of the poisoning", placeholder="/path/to/truth.json",
        info="its triggers and target, whatever they are", max_lines=1, elem_id="clean-truth",
    )  # fmt: skip
    random = gr.Checkbox(
        False, label="Compare with dropping a random 20%", info="one more fine-tuning", elem_id="clean-random"
    )
    usual, fields = FinetuneSettings(), {}
    with gr.Accordion("Fine-tuning settings", open=False):
        name = gr.Textbox("", label="Name", placeholder="by the data set", max_lines=1, elem_id="clean-name")
        with gr.Row():
            for one in (*MAIN, *(other for other in page.SETTINGS if other not in MAIN)):
                fields[one] = _field(one, getattr(usual, one))
    return model, test, trigger, size, target, truth, random, name, *(fields[one] for one in page.SETTINGS)


def _field(name: str, value: Any) -> Any:
    label, info = WORDS.get(name, (name.replace("_", " ").capitalize(), ""))
    shown = {"label": label, "info": info, "interactive": True, "elem_id": f"clean-{name}", "min_width": 120}
    if isinstance(value, bool):
        return gr.Checkbox(value, **shown)
    if isinstance(value, str):
        return gr.Textbox(value, max_lines=1, **shown)
    return gr.Number(value, precision=0 if isinstance(value, int) else None, **shown)


def _listen(parts: page.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known, fields = parts.all(), [frame.session, parts.watch], list(parts.fields)

    def bound(function: Callable[..., page.Update]) -> Callable[..., page.Update]:
        """`function(parts, session, watch, ...)` with its failures turned into words."""

        def handler(current: Session, watch: page.Watch, *values: Any) -> page.Update:
            try:
                return function(parts, current, watch, *values)
            except ByeError as error:
                return {parts.notice: alert(error)}

        return handler

    def stop(current: Session, watch: page.Watch) -> Iterator[page.Update]:
        try:
            yield from page.stop(parts, current, watch)
        except ByeError as error:
            yield {parts.notice: alert(error)}

    def opened(current: Session, watch: page.Watch, event: gr.EventData) -> page.Update:
        return bound(lambda p, s, w: page.open_stage(p, s, w, str(event.stage)))(current, watch)

    tab.select(bound(page.enter), known, outputs, **QUIET)
    frame.opened.change(bound(page.arrive), known, outputs, **QUIET)
    frame.pulse.tick(bound(page.tick), known, outputs, **QUIET)
    gr.on(
        [field.change for field in fields], bound(page.preview), [*known, *fields], [parts.command, parts.notice],
        trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    parts.start.click(bound(page.start), [*known, *fields], outputs, **QUIET)
    parts.jobs.input(bound(page.pick), [*known, parts.jobs], outputs, **QUIET)
    parts.stop.click(stop, known, outputs, **QUIET)
    parts.again.click(bound(page.again), known, outputs, **QUIET)
    parts.stages.click(opened, known, outputs, **QUIET).then(None, js=SHOW_OPENED, **QUIET)
