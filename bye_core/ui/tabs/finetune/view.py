"""Fine-tune: train on what is left, watch the loss, and see what became of the back door."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from bye_core.attacks import TRIGGERS
from bye_core.errors import ByeError
from bye_core.runs.jobs import command_line
from bye_core.train.settings import FinetuneSettings
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.attack_form import NO_TRIGGER, PAPER_SIZE
from bye_core.ui.shared.messages import alert
from bye_core.ui.shared.training_form import MAIN, MORE, SWITCHES, WORDS
from bye_core.ui.tabs.finetune import actions as page
from bye_core.ui.tabs.finetune import evaluation, evaluation_actions
from bye_core.ui.tabs.finetune import job as finetune_job
from bye_core.ui.tabs.finetune.parts import Parts, Seen, Update
from bye_core.ui.workspace import hosted

NAME = "finetune"
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
OFF = (
    "Fine-tuning is off on this public demo: it would take all of a small machine that strangers share for minutes to "
    "hours. Download the cleaned set in Export and run this at home:"
)
AT_HOME = [
    command_line("finetune", ["--model", "MODEL", "--data", "CLEANED", "--out", "ADAPTER"]),
    command_line("evaluate", ["--model", "MODEL", "--adapter", "ADAPTER", "--data", "TEST", "--trigger", "patch"]),
]


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.run. Starts and stops jobs of the workspace: trainings and measurements."""
    if hosted():
        lines = escape("\n".join(AT_HOME))
        gr.HTML(f"<div class='bye-off'><p>{OFF}</p><pre><code>{lines}</code></pre></div>", elem_id="finetune-off")
        return
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Fine-tune", build)


def _lay_out(frame: Frame) -> Parts:
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=320):
            form, recipe = _form()
            command = gr.Code(
                language="shell", label="What runs", interactive=False, show_line_numbers=False, wrap_lines=True,
                lines=2, elem_id="finetune-command",
            )  # fmt: skip
            notice = gr.HTML(elem_id="finetune-notice")
            start = gr.Button("Start", variant="primary", elem_id="finetune-start")
        with gr.Column(scale=3, min_width=320):
            job = gr.Dropdown([], label="Training", visible=False, interactive=True, elem_id="finetune-job")
            status = gr.HTML(elem_id="finetune-status")
            figure = gr.Plot(visible=False, show_label=False, elem_id="finetune-loss")
            with gr.Row(elem_classes="bye-actions"):
                stop = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="finetune-stop")
                again = gr.Button("Start again", visible=False, scale=0, min_width=140, elem_id="finetune-again")
            log = gr.Textbox(
                "", label="Log", visible=False, interactive=False, lines=6, max_lines=12, buttons=["copy"],
                elem_classes="bye-log", elem_id="finetune-log",
            )  # fmt: skip
    gr.HTML("<h3>Before and after</h3>")
    test, measure, halt = _lay_out_test()
    said, table = gr.HTML(elem_id="outcome-said"), gr.HTML(elem_id="outcome-table")
    compared = gr.Plot(visible=False, show_label=False, elem_id="outcome-figure")
    return Parts(
        frame.session, gr.State(Seen()), frame.pulse, form, recipe, command, notice, start, job, status, figure, stop,
        again, log, test, measure, halt, said, table, compared,
    )  # fmt: skip


def _form() -> tuple[tuple[Any, ...], gr.Dropdown]:
    """The fields in the order that page.form_of reads them in, and what fills in all settings at once."""
    model = gr.Dropdown(
        [], label="Base model", info="a folder, or owner/name on the hub", allow_custom_value=True, interactive=True,
        elem_id="finetune-model",
    )  # fmt: skip
    data = gr.Dropdown([], label="Data", interactive=True, elem_id="finetune-data")
    path = gr.Textbox(
        "", label="Folder or annotation file", visible=False, max_lines=1, interactive=True, elem_id="finetune-path"
    )
    recipe = gr.Dropdown(
        finetune_job.recipes(None), value="paper", label="Recipe", info="fills in the settings below", interactive=True,
        elem_id="finetune-recipe",
    )  # fmt: skip
    usual = FinetuneSettings()
    with gr.Row():
        main = [_field(name, getattr(usual, name)) for name in MAIN]
    with gr.Accordion("More settings", open=False):
        name = gr.Textbox(
            "", label="Name of the adapter", placeholder="by the data", max_lines=1, interactive=True,
            elem_id="finetune-name",
        )  # fmt: skip
        with gr.Row():
            more = [_field(one, getattr(usual, one)) for one in MORE]
        # One below the other: side by side, checkboxes shrink until nothing of them can be read.
        more += [_field(one, getattr(usual, one)) for one in SWITCHES]
    return (model, data, path, name, *main, *more), recipe


def _field(name: str, value: Any) -> Any:
    label, info = WORDS[name]
    shown = {
        "label": label, "info": info, "interactive": True, "elem_id": f"finetune-{name}", "min_width": 120,
    }  # fmt: skip
    if isinstance(value, bool):
        return gr.Checkbox(value, **shown)
    if isinstance(value, str):
        return gr.Textbox(value, max_lines=1, **shown)
    return gr.Number(value, precision=0 if isinstance(value, int) else None, **shown)


def _lay_out_test() -> tuple[tuple[Any, ...], gr.Button, gr.Button]:
    with gr.Row():
        data = gr.Textbox(
            "", label="Test set", info="questions and right answers not trained on", max_lines=1, scale=3,
            min_width=260, elem_id="outcome-data",
        )  # fmt: skip
        trigger = gr.Dropdown(
            [("none: clean performance only", NO_TRIGGER), *TRIGGERS], value=NO_TRIGGER,
            label="Trigger", info="planted on copies of its pictures", scale=2, min_width=200,
            elem_id="outcome-trigger",
        )  # fmt: skip
        size = gr.Number(
            PAPER_SIZE, label="Its size", info="of a patch: side / shorter side", scale=1, min_width=110,
            elem_id="outcome-size",
        )  # fmt: skip
        target = gr.Textbox(
            evaluation.TARGET, label="Attacker's answer", info="counts as a success", max_lines=1, scale=2,
            min_width=160, elem_id="outcome-target",
        )  # fmt: skip
    truth = gr.Textbox(
        "", label="Or the truth file of the poisoning", placeholder="/path/to/truth.json",
        info="its triggers and target, whatever they are", max_lines=1, elem_id="outcome-truth",
    )  # fmt: skip
    with gr.Row():
        none = [("none", "")]
        everything = gr.Dropdown(
            none, value="", label="Tuned on everything", interactive=True, elem_id="outcome-everything"
        )
        left = gr.Dropdown(none, value="", label="Tuned on what is left", interactive=True, elem_id="outcome-left")
        with gr.Row(elem_classes=["bye-actions", "bye-bottom"]):
            measure = gr.Button("Measure", variant="primary", scale=0, min_width=140, elem_id="outcome-start")
            halt = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="outcome-stop")
    return (data, trigger, size, target, truth, everything, left), measure, halt


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known, form = parts.all(), [frame.session, parts.seen], list(parts.form)

    def bound(function: Callable[..., Update], where: Any = parts.notice) -> Callable[..., Update]:
        """`function(parts, session, seen, ...)` with its failures turned into words beside what was pressed."""

        def handler(current: Session, seen: Seen, *values: Any) -> Update:
            try:
                return function(parts, current, seen, *values)
            except ByeError as error:
                return {where: alert(error)}

        return handler

    tab.select(bound(page.enter), known, outputs, **QUIET)
    frame.pulse.tick(bound(page.watch), known, outputs, **QUIET)
    frame.opened.change(bound(page.arrive), known, outputs, **QUIET)
    gr.on(
        [field.change for field in form], bound(page.preview), [*known, *form],
        [parts.command, parts.notice, parts.form[2], parts.recipe], trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    parts.recipe.input(bound(page.take_recipe), [*known, parts.recipe], outputs, **QUIET)
    parts.start.click(bound(page.start), [*known, *form], outputs, **QUIET)
    parts.job.input(bound(page.pick), [*known, parts.job], outputs, **QUIET)
    parts.stop.click(bound(page.stop), known, outputs, **QUIET)
    parts.again.click(bound(page.again), known, outputs, **QUIET)
    measuring = [*known, form[0], *parts.test]
    parts.measure.click(bound(evaluation_actions.measure, parts.said), measuring, outputs, **QUIET)
    parts.halt.click(bound(evaluation_actions.halt, parts.said), known, outputs, **QUIET)
