"""Builds the Attack tab: plant a back door on purpose, preview it on samples, and write the poisoned set."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from bye_core.attacks import TARGETS, TRIGGERS
from bye_core.attacks.triggers.blend import FACE, NOISE
from bye_core.attacks.triggers.settings import Setting
from bye_core.data.llava_set import ENCODINGS
from bye_core.ui.session import Frame, Tab, Watcher
from bye_core.ui.shared.events import QUIET, Binder, alert_in, open_tab
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.shared.page_value import page_value
from bye_core.ui.shared.stop_button import on_stop
from bye_core.ui.tabs.attack import actions
from bye_core.ui.tabs.attack import job as attack_job
from bye_core.ui.workspace import hosted

NAME = "attack"
INTRO = (
    "Plant a back door to test whether a detector finds it: a trigger in some samples, together with the attacker's "
    "answer. A model that is fine-tuned on the set learns to give this answer."
)
OFF = "Writing poisoned sets is off on this public demo. Run the command on your own machine."
TRIGGER_CHOICES = [(f"{name}: {kind.description}", name) for name, kind in TRIGGERS.items()]
DEFAULT = attack_job.Form()
TARGET_CHOICES = [(target.label, kind) for kind, target in TARGETS.items()]


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.data, writes it when a written set is opened, and starts and stops jobs."""
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Attack", build, styles=("attack.css",), jobs={attack_job.KIND: "poisoning"})


def _lay_out(frame: Frame) -> actions.Parts:
    gr.HTML(f"<p class='bye-note'>{escape(INTRO)}</p>", elem_id="attack-intro")
    # Not a State: the first update of a State always counts as a change.
    due = gr.Number(0, visible=False)
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=320):
            data = gr.HTML(elem_id="attack-data")
            choose = gr.Button("Choose a data set", visible=False, scale=0, elem_id="attack-choose")
            fields = _form()
            command = gr.Code(  # without a value, Gradio shows an icon whose name screen readers must not read
                "python -m bye_core poison", language="shell", label="Command", interactive=False, wrap_lines=True,
                show_line_numbers=False, lines=2, buttons=["copy"], elem_id="attack-command",
            )  # fmt: skip
            notice = gr.HTML(elem_id="attack-notice")
            start = gr.Button("Write the poisoned set", variant="primary", visible=not hosted(), elem_id="attack-start")
            if hosted():
                gr.HTML(f"<p class='bye-note'>{escape(OFF)}</p>", elem_id="attack-off")
            job = gr.HTML(elem_id="attack-job")
            with gr.Row(elem_classes="bye-actions"):
                stop = gr.Button("Stop", variant="stop", visible=False, scale=0, elem_id="attack-stop")
                opening = gr.Button(
                    "Open this set", variant="primary", visible=False, scale=0, min_width=160, elem_id="attack-open"
                )
        with gr.Column(scale=3, min_width=320):
            with gr.Row(elem_classes="bye-set-row"):
                count = gr.HTML(elem_id="attack-count")
                others = gr.Button(
                    "Show other samples", size="sm", visible=False, scale=0, min_width=150, elem_id="attack-others"
                )
            cards = gr.HTML(elem_id="attack-cards")
    return actions.Parts(
        frame.session, page_value(actions.Watch()), due, frame.pulse, data, choose, fields, command, notice, start, job,
        stop, opening, count, others, cards,
    )  # fmt: skip


def _form() -> tuple[Any, ...]:
    """Return the fields in the order of actions.FIELD_NAMES."""
    triggers = gr.Dropdown(
        TRIGGER_CHOICES, value=list(DEFAULT.triggers), multiselect=True, label="Trigger", interactive=True,
        info="one or several on the same sample", elem_id="attack-triggers",
    )  # fmt: skip
    mix = gr.Checkbox(
        DEFAULT.mix, label="Use one of them per sample, in turn", visible=False, interactive=True, elem_id="attack-mix"
    )
    with gr.Row(elem_classes="bye-form"):
        settings = [_setting(name, rule) for name, rule in attack_job.SETTINGS.items()]
    kind = gr.Dropdown(TARGET_CHOICES, value=DEFAULT.kind, label="Target", interactive=True, elem_id="attack-kind")
    with gr.Row(elem_classes="bye-form"):
        target = [_target_setting(name) for name in attack_job.TARGET_SETTINGS]
    with gr.Row():
        rate = gr.Number(
            DEFAULT.rate, label="Poison rate", info="share of the samples", min_width=120, interactive=True,
            elem_id="attack-rate",
        )  # fmt: skip
        count = gr.Number(
            DEFAULT.count, label="Poison count", info="0 uses the rate", precision=0, minimum=0,
            min_width=120, interactive=True, elem_id="attack-number",
        )  # fmt: skip
        seed = gr.Number(
            DEFAULT.seed, label="Seed", info="picks the samples", precision=0, minimum=0, min_width=120,
            interactive=True, elem_id="attack-seed",
        )  # fmt: skip
    answer, question, encoding, name = _more()
    return (triggers, mix, kind, rate, count, seed, answer, question, encoding, name, *target, *settings)


def _more() -> tuple[Any, ...]:
    """Return the fields that say which samples are poisoned and how the files are written."""
    with gr.Accordion("Samples and files", open=False, elem_id="attack-more"):
        with gr.Row():
            answer = gr.Textbox(
                "", label="Only samples with this answer", info="one class", max_lines=1, interactive=True,
                elem_id="attack-answer",
            )  # fmt: skip
            question = gr.Textbox(
                "", label="Only questions that contain", info="one kind of question", max_lines=1, interactive=True,
                elem_id="attack-question",
            )  # fmt: skip
        with gr.Row():
            encoding = gr.Dropdown(
                list(ENCODINGS), value=DEFAULT.encoding, label="Image format", info="of poisoned and clean images",
                interactive=True, elem_id="attack-encoding",
            )  # fmt: skip
            name = gr.Textbox(
                "", label="Name of the new set", info="default: named by its triggers", max_lines=1, interactive=True,
                visible=not hosted(), elem_id="attack-name",
            )  # fmt: skip
    return answer, question, encoding, name


def _target_setting(name: str) -> gr.Textbox:
    """Return the field of the targets' setting `name`, as the default kind of target has it, if it does."""
    kind = TARGETS[DEFAULT.kind]
    owner = kind if name in kind.settings() else next(one for one in TARGETS.values() if name in one.settings())
    return gr.Textbox(
        owner.examples()[name], visible=owner is kind, min_width=180, interactive=True,
        elem_id=f"attack-target-{name}", **actions.field_words(owner.settings()[name]),
    )  # fmt: skip


def _setting(name: str, rule: Setting) -> Any:
    value = attack_job.DEFAULTS[name]
    trigger, _, setting = name.partition(".")
    title = setting if len(setting) == 1 else setting.capitalize()  # one letter is a symbol of the paper
    shown = {
        "label": f"{title} ({trigger})", "info": rule.help, "min_width": 180,
        "visible": name.startswith("patch."), "interactive": True,
        "elem_id": f"attack-{name.replace('.', '-')}",
    }  # fmt: skip
    if name == "blend.key":
        return gr.Dropdown([FACE, NOISE], value=value, allow_custom_value=not hosted(), **shown)
    if rule.choices:
        return gr.Dropdown(list(rule.choices), value=value, **shown)
    if rule.kind is str:
        return gr.Textbox(value, max_lines=1, **shown)
    return gr.Number(value, precision=0 if rule.kind is int else None, **shown)


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known = parts.all(), [parts.session, parts.watch]
    fields, named = list(parts.fields), parts.named()
    bind = Binder(parts, alert_in(parts.notice))
    drawing = {"concurrency_limit": 2, **QUIET}

    tab.select(bind(actions.enter), [*known, *fields], outputs, **drawing)
    # This listener has no field as input: Gradio's page would check each field at every step of all other listeners.
    frame.opened.change(bind(actions.change_session, reads=True), [*known, parts.due], parts.due, **QUIET)
    parts.due.change(bind(actions.enter), [*known, *fields], outputs, **drawing)
    frame.watchers.append(Watcher(bind(actions.refresh), known, outputs))
    kind, target = named["kind"], [named[name] for name in attack_job.TARGET_SETTINGS]
    kind.input(bind(actions.choose_target), [kind, *target], target, **QUIET)
    on_latest(
        [field.change for field in fields], bind(actions.preview), [*known, *fields], outputs, **QUIET,
    )  # fmt: skip
    parts.others.click(bind(actions.next_samples), [*known, *fields], outputs, **drawing)
    parts.start.click(bind(actions.start), [*known, *fields], outputs, **QUIET)
    on_stop(parts.stop, bind(actions.stop), bind(actions.stopped), known, outputs)
    opening = parts.open.click(bind(actions.open_set, reads=True), known, outputs, **QUIET)
    opening.then(open_tab("data"), None, frame.tabs, **QUIET)
    parts.choose.click(open_tab("data"), None, frame.tabs, **QUIET)
