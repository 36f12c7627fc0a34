"""Builds the Fine-tune tab: train on the remaining samples, follow the loss, and measure the models."""

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
from bye_core.ui.shared.training_form import MAIN, MORE, SWITCHES, setting_field
from bye_core.ui.tabs.finetune import actions
from bye_core.ui.tabs.finetune.evaluation import KIND as EVALUATION
from bye_core.ui.tabs.finetune.evaluation_actions import OutcomeParts
from bye_core.ui.tabs.finetune.job import KIND, recipe_choices

NAME = "finetune"
OFF = (
    "Fine-tuning is off on this public demo: it takes minutes to hours on a small machine that visitors share. "
    "Download the cleaned set in Export and run these commands on your own machine:"
)
AT_HOME = [
    command_line("finetune", ["--model", "MODEL", "--data", "CLEANED", "--out", "ADAPTER"]),
    command_line("evaluate", ["--model", "MODEL", "--adapter", "ADAPTER", "--data", "TEST", "--trigger", "patch"]),
]


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.run, and starts and stops trainings and measurements."""
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Fine-tune", build, off=off_here(OFF, *AT_HOME), jobs={KIND: "fine-tuning", EVALUATION: "evaluating"})


def _lay_out(frame: Frame) -> actions.Parts:
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=320):
            form, recipe = _form()
            command = gr.Code(  # without a value, Gradio shows an icon whose name screen readers must not read
                "python -m bye_core finetune", language="shell", label="Command", interactive=False, wrap_lines=True,
                show_line_numbers=False, lines=2, buttons=["copy"], elem_id="finetune-command",
            )  # fmt: skip
            notice = gr.HTML(elem_id="finetune-notice")
            start = gr.Button("Start the training", variant="primary", elem_id="finetune-start")
        with gr.Column(scale=3, min_width=320):
            job = gr.Dropdown([], label="Training", visible=False, interactive=True, elem_id="finetune-job")
            status = gr.HTML(elem_id="finetune-status")
            figure = gr.Plot(visible=False, show_label=False, elem_id="finetune-loss")
            with gr.Row(elem_classes="bye-actions"):
                stop = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="finetune-stop")
                resume = gr.Button("Start again", visible=False, scale=0, min_width=140, elem_id="finetune-again")
            log = gr.Textbox(
                "", label="Log", visible=False, interactive=False, lines=6, max_lines=12, buttons=["copy"],
                elem_classes="bye-log", elem_id="finetune-log",
            )  # fmt: skip
    gr.HTML("<h3 id='part-measure' tabindex='-1'>Measure before and after</h3>")  # the header's last step leads here
    return actions.Parts(
        frame.session, page_value(actions.Watch()), frame.pulse, form, recipe, command, notice, start, job, status,
        figure, stop, resume, log, _outcome(),
    )  # fmt: skip


def _form() -> tuple[tuple[Any, ...], gr.Dropdown]:
    """Return the fields in the order of actions.read_form, and the recipe."""
    model = gr.Dropdown(
        [], label="Base model", info="a folder, or owner/name on the hub", allow_custom_value=True, interactive=True,
        elem_id="finetune-model",
    )  # fmt: skip
    data = gr.Dropdown([], label="Data", interactive=True, elem_id="finetune-data")
    path = gr.Textbox(
        "", label="Folder or annotation file", visible=False, max_lines=1, interactive=True, elem_id="finetune-path"
    )
    recipe = gr.Dropdown(
        recipe_choices(None), value="paper", label="Recipe", info="sets all settings below", interactive=True,
        elem_id="finetune-recipe",
    )  # fmt: skip
    with gr.Row():
        main = [setting_field(name, NAME) for name in MAIN]
    with gr.Accordion("More settings", open=False):
        adapter = gr.Textbox(
            "", label="Name of the adapter", placeholder="named after the data set", max_lines=1, interactive=True,
            elem_id="finetune-name",
        )  # fmt: skip
        with gr.Row():
            more = [setting_field(name, NAME) for name in MORE]
        # One checkbox per line: side by side, their labels would be too narrow to read.
        more += [setting_field(name, NAME) for name in SWITCHES]
    return (model, data, path, adapter, *main, *more), recipe


def _outcome() -> OutcomeParts:
    with gr.Row():
        data = gr.Textbox(
            "", label="Test set", info="questions and reference answers, not trained on", max_lines=1, scale=3,
            min_width=260, elem_id="outcome-data",
        )  # fmt: skip
        trigger = gr.Dropdown(
            [("none: clean performance only", NO_TRIGGER), *TRIGGERS], value=NO_TRIGGER,
            label="Trigger", info="added to copies of the images", scale=2, min_width=200,
            elem_id="outcome-trigger",
        )  # fmt: skip
        size = gr.Number(
            PAPER_SIZE, label="Trigger size", info="patch side / shorter image side", scale=2, min_width=200,
            elem_id="outcome-size",
        )  # fmt: skip
        target = gr.Textbox(
            TARGET, label="Attacker's answer", info="counts as attack success", max_lines=1, scale=2,
            min_width=160, elem_id="outcome-target",
        )  # fmt: skip
    truth = gr.Textbox(
        "", label="Or the truth file of the poisoning", placeholder="/path/to/truth.json",
        info="replaces the trigger, its size and its answer", max_lines=1, elem_id="outcome-truth",
    )  # fmt: skip
    with gr.Row():
        none = [("none", "")]
        everything = gr.Dropdown(
            none, value="", label="Tuned on everything", interactive=True, min_width=240, elem_id="outcome-everything"
        )
        left = gr.Dropdown(
            none, value="", label="Tuned on the remaining samples", interactive=True, min_width=240,
            elem_id="outcome-left",
        )  # fmt: skip
        with gr.Row(elem_classes=["bye-actions", "bye-bottom"]):
            measure = gr.Button("Measure", variant="primary", scale=0, min_width=140, elem_id="outcome-start")
            stop = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="outcome-stop")
    message, table = gr.HTML(elem_id="outcome-said"), gr.HTML(elem_id="outcome-table")
    figure = gr.Plot(visible=False, show_label=False, elem_id="outcome-figure")
    return OutcomeParts(
        data, trigger, size, target, truth, everything, left, measure, stop, message, table, figure
    )  # fmt: skip


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known, form, outcome = parts.all(), [parts.session, parts.watch], list(parts.form), parts.outcome
    # An error is shown beside the button that was pressed.
    bind, bind_outcome = Binder(parts, alert_in(parts.notice)), Binder(parts, alert_in(outcome.message))

    tab.select(bind(actions.enter), known, outputs, **QUIET)
    frame.watchers.append(Watcher(bind(actions.refresh), known, outputs))
    frame.opened.change(bind(actions.change_session), known, outputs, **QUIET)
    on_latest(
        [field.change for field in form], bind(actions.preview, reads=True), [*known, *form],
        [parts.command, parts.notice, form[actions.PATH], parts.recipe], **QUIET,
    )  # fmt: skip
    parts.recipe.input(bind(actions.apply_recipe, reads=True), [*known, parts.recipe], outputs, **QUIET)
    parts.start.click(bind(actions.start), [*known, *form], outputs, **QUIET)
    parts.job.input(bind(actions.follow), [*known, parts.job], outputs, **QUIET)
    on_stop(parts.stop, bind(actions.stop), bind(actions.stopped), known, outputs)
    parts.resume.click(bind(actions.resume), known, outputs, **QUIET)
    measuring = [*known, form[actions.MODEL], *outcome.fields]
    outcome.measure.click(bind_outcome(actions.measure), measuring, outputs, **QUIET)
    on_stop(outcome.stop, bind_outcome(actions.stop_measuring), bind_outcome(actions.measured), known, outputs)
