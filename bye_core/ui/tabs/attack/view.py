"""Attack: plant a back door on purpose, look at what it does to samples, and write the poisoned set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from bye_core.attacks import TRIGGERS
from bye_core.attacks.triggers.blend import FACE, NOISE
from bye_core.attacks.triggers.settings import Setting
from bye_core.data.llava_set import ENCODINGS
from bye_core.errors import ByeError
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.messages import alert
from bye_core.ui.tabs.attack import actions as page
from bye_core.ui.tabs.attack import job as attack_job
from bye_core.ui.tabs.attack.actions import Parts, Seen, Update
from bye_core.ui.workspace import hosted

NAME = "attack"
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
INTRO = (
    "To see whether a detector finds a back door, plant one: a trigger in some samples, with an answer of the "
    "attacker's. Whoever fine-tunes on the set teaches the model to give it."
)
OFF = "Sets are not written on this public demo. The command does it on your own machine."
TRIGGER_CHOICES = [(f"{name}: {kind.description}", name) for name, kind in TRIGGERS.items()]
TARGET_CHOICES = [(words, kind) for kind, (words, _) in attack_job.TARGET_WORDS.items()]


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.data. Writes: session.data, where a written set is opened. Starts and stops jobs of the
    workspace."""
    parts = _lay_out(frame)
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Attack", build, styles=("attack.css",))


def _lay_out(frame: Frame) -> Parts:
    gr.HTML(f"<p class='bye-note'>{escape(INTRO)}</p>", elem_id="attack-intro")
    # No State: the page takes the first answer about a State for a change of it, whatever it is.
    due = gr.Number(0, visible=False)
    with gr.Row(elem_classes="bye-split-row"):
        with gr.Column(scale=2, min_width=320):
            data = gr.HTML(elem_id="attack-data")
            choose = gr.Button("Choose a data set", visible=False, scale=0, elem_id="attack-choose")
            fields = _form()
            command = gr.Code(
                language="shell", label="What runs", interactive=False, show_line_numbers=False, wrap_lines=True,
                lines=2, elem_id="attack-command",
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
                    "Other samples", size="sm", visible=False, scale=0, min_width=150, elem_id="attack-others"
                )
            cards = gr.HTML(elem_id="attack-cards")
    return Parts(
        frame.session, gr.State(Seen()), due, frame.pulse, data, choose, fields, command, notice, start, job,
        stop, opening, count, others, cards,
    )  # fmt: skip


def _form() -> tuple[Any, ...]:
    """The fields in the order that page.form_of reads them in."""
    usual = attack_job.Form()
    triggers = gr.Dropdown(
        TRIGGER_CHOICES, value=list(usual.triggers), multiselect=True, label="Trigger", interactive=True,
        info="one or several, on the same sample", elem_id="attack-triggers",
    )  # fmt: skip
    mix = gr.Checkbox(usual.mix, label="One of them in turn", visible=False, interactive=True, elem_id="attack-mix")
    with gr.Row(elem_classes="bye-form"):
        settings = [_setting(name, rule) for name, rule in attack_job.SETTINGS.items()]
    kind = gr.Dropdown(TARGET_CHOICES, value=usual.kind, label="Target", interactive=True, elem_id="attack-kind")
    with gr.Row():
        word = gr.Textbox(
            usual.word, label="Swap this word", visible=False, max_lines=1, min_width=120, interactive=True,
            elem_id="attack-word",
        )  # fmt: skip
        text = gr.Textbox(
            usual.text, label="Its words", max_lines=2, min_width=120, interactive=True, elem_id="attack-text"
        )
    with gr.Row():
        rate = gr.Number(
            usual.rate, label="Poison rate", info="share of samples", min_width=120, interactive=True,
            elem_id="attack-rate",
        )  # fmt: skip
        seed = gr.Number(
            usual.seed, label="Seed", info="draws the samples", precision=0, minimum=0, min_width=120,
            interactive=True, elem_id="attack-seed",
        )  # fmt: skip
    with gr.Accordion("Which samples, and how they are written", open=False, elem_id="attack-more"):
        with gr.Row():
            answer = gr.Textbox(
                "", label="Only this answer", info="one class", max_lines=1, interactive=True, elem_id="attack-answer"
            )
            question = gr.Textbox(
                "", label="Only questions with", info="one type of question", max_lines=1, interactive=True,
                elem_id="attack-question",
            )  # fmt: skip
        with gr.Row():
            encoding = gr.Dropdown(
                list(ENCODINGS), value=usual.encoding, label="Pictures as", info="poisoned or not, all alike",
                interactive=True, elem_id="attack-encoding",
            )  # fmt: skip
            name = gr.Textbox(
                "", label="Name of the new set", info="else by its triggers", max_lines=1, interactive=True,
                visible=not hosted(), elem_id="attack-name",
            )  # fmt: skip
    return (triggers, mix, kind, text, word, rate, seed, answer, question, encoding, name, *settings)


def _setting(name: str, rule: Setting) -> Any:
    value = attack_job.DEFAULTS[name]
    shown = {
        "label": name, "info": rule.help, "visible": name.startswith("patch."), "min_width": 180, "interactive": True,
        "elem_id": f"attack-{name.replace('.', '-')}",
    }  # fmt: skip
    if name == "blend.key":
        return gr.Dropdown([FACE, NOISE], value=value, allow_custom_value=not hosted(), **shown)
    if rule.kind is str:
        return gr.Textbox(value, max_lines=1, **shown)
    return gr.Number(value, precision=0 if rule.kind is int else None, **shown)


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, known, fields = parts.all(), [frame.session, parts.seen], list(parts.fields)

    def bound(function: Callable[..., Update]) -> Callable[..., Update]:
        """`function(parts, session, seen, ...)` with its failures turned into words."""

        def handler(current: Session, seen: Seen, *values: Any) -> Update:
            try:
                return function(parts, current, seen, *values)
            except ByeError as error:
                return {parts.notice: alert(error)}

        return handler

    entering = {"concurrency_limit": 2, **QUIET}
    tab.select(bound(page.enter), [*known, *fields], outputs, **entering)
    # Once a field went with a listener, the page sees to it at every step of all others: none goes with this one.
    frame.opened.change(partial(page.arrive, parts), [*known, parts.due], parts.due, **QUIET)
    parts.due.change(bound(page.enter), [*known, *fields], outputs, **entering)
    frame.pulse.tick(bound(page.watch), known, outputs, **QUIET)
    named = parts.named()
    named["kind"].input(partial(page.aim, parts), [named["kind"], named["text"]], [named["text"]], **QUIET)
    gr.on(
        [field.change for field in fields], bound(page.preview), [*known, *fields], outputs,
        trigger_mode="always_last", **entering,
    )  # fmt: skip
    parts.others.click(bound(page.others), [*known, *fields], outputs, **entering)
    parts.start.click(bound(page.start), [*known, *fields], outputs, **QUIET)
    parts.stop.click(bound(page.stop), known, outputs, **QUIET)
    opening = parts.open.click(bound(page.open_set), known, outputs, **QUIET)
    opening.then(partial(gr.Tabs, selected="data"), None, frame.tabs, **QUIET)
    parts.choose.click(partial(gr.Tabs, selected="data"), None, frame.tabs, **QUIET)
