"""Builds the Adjust side bar: try settings of the detection, see their effect, then save or discard them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bye_core.detect import DETECTORS, PAPER
from bye_core.ui.adjust import actions as page
from bye_core.ui.adjust import display
from bye_core.ui.adjust.display import Parts
from bye_core.ui.adjust.method_settings import SLOTS
from bye_core.ui.adjust.truth_panel import build_truth
from bye_core.ui.session import Frame
from bye_core.ui.shared.bridge import changed, in_front
from bye_core.ui.shared.events import QUIET, SESSION, Binder
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.shared.messages import note
from bye_core.ui.web.scripts import start_module

NAME = "adjust"  # of its events (see bridge.changed)
# Handlers that write the trial run one at a time, so that no change is lost.
TRIAL = {**QUIET, "concurrency_id": "trial", "concurrency_limit": 1, "trigger_mode": "always_last"}

# The side bar opens automatically in Layers. On other tabs, the user opens it.
VISIBLE = in_front(
    "layers", "document.querySelector('#adjust')?.closest('.sidebar')?.classList.contains('open') === true"
)

FORMULAS = [("paper", "paper"), ("authors' code", "reference")]
MODES = [("sensitive", "tau"), ("by hand", "hand"), ("all", "all")]
CLUSTERS = [("mixture", "gmm"), ("k-means", "kmeans"), ("fixed", "threshold")]


def build(frame: Frame) -> None:
    """Build the side bar. It reads and writes the trial and the session (revision, selection, truth).

    "Use this" saves the trial's detection in the run.
    """
    with gr.Sidebar(label="Adjust", open=False, position="right", width=340, elem_id="adjust") as bar:
        gr.HTML("<h2>Adjust</h2>", padding=False, elem_classes="bye-title")
        front, form_set = gr.Checkbox(False, visible=False), gr.Textbox(display.NEVER, visible=False)
        hint = gr.HTML(note("Reading the run ..."), padding=False, elem_id="adjust-hint")
        with gr.Column(elem_id="adjust-top"):
            effect = gr.HTML("", padding=False, js_on_load=start_module("adjust.js"), elem_id="adjust-effect")
            with gr.Column(visible=False) as actions:
                buttons = _lay_out_actions()
        with gr.Column(visible=False, elem_id="adjust-body") as body:
            rest = [*buttons, *_lay_out_cut(), *_lay_out_rule()]
        parts = Parts(
            frame.session, frame.tabs, frame.trial, gr.State({}), front, form_set, hint, body, actions, effect, *rest
        )
        build_truth(frame)
    _listen(parts, frame, bar)


def _lay_out_actions() -> list[Any]:
    with gr.Row(elem_classes="bye-actions"):
        use = gr.Button("Use this", variant="primary", size="md", min_width=100, elem_id="adjust-use")
        back = gr.Button("Discard", size="md", min_width=100, elem_id="adjust-back")
    paper = gr.Button("Try the paper's rule", size="sm", elem_id="adjust-paper")
    return [use, back, paper]


def _lay_out_cut() -> list[Any]:
    histogram = gr.Plot(show_label=False, container=False, elem_id="plot-final")
    cut = gr.Slider(0, 1, 0.5, step=0.001, label="Cut-off [nats]", buttons=[], elem_id="adjust-cut")
    log = gr.Checkbox(False, label="Log scale of counts", container=False, elem_id="adjust-log")
    uncut = gr.Button("Reset the cut-off", size="sm", interactive=False, elem_id="adjust-uncut")
    return [histogram, cut, uncut, log]


def _lay_out_rule() -> list[Any]:
    choices = [(detector.title, name) for name, detector in DETECTORS.items()]
    method = gr.Dropdown(choices, value=PAPER, label="Method", elem_id="adjust-method")
    bsi = gr.Radio(FORMULAS, value="paper", label="Separation (BSI)", elem_id="adjust-bsi")
    mode = gr.Radio(MODES, value="tau", label="Layers", elem_id="adjust-mode")
    tau = gr.Number(
        2.0,
        label="Separation needed (tau)",
        info="2.0 in paper and code",
        minimum=0,
        step=0.1,
        elem_id="adjust-tau",
    )
    layers = gr.Dropdown(
        [], multiselect=True, visible=False, label="Layers by hand", show_label=False, elem_id="adjust-layers"
    )
    cluster = gr.Radio(CLUSTERS, value="gmm", label="Clustering", elem_id="adjust-cluster")
    threshold = gr.Number(
        4.5, label="Fixed cut-off [nats]", info="4.5 in the paper, for 576 image tokens", visible=False, step=0.1,
        elem_id="adjust-threshold",
    )  # fmt: skip
    slots = [gr.Number(visible=False, elem_id=f"adjust-slot-{place}") for place in range(SLOTS)]
    return [method, bsi, mode, tau, layers, cluster, threshold, slots]


def _listen(parts: Parts, frame: Frame, bar: gr.Sidebar) -> None:
    session, trial, outputs = parts.session, parts.trial, parts.all()
    known = [session, trial, parts.sent, parts.log]

    bound = Binder(parts, lambda error, *_: display.show_failure(parts, error))
    refreshed = bound(page.refresh), [*known, parts.in_front], outputs
    changed(frame.bridge, "session", NAME)(*refreshed, js=VISIBLE, **TRIAL)
    gr.on([bar.expand, frame.tabs.select], *refreshed, js=VISIBLE, **TRIAL)
    typed = [*known, parts.form_set]
    on_latest([parts.cut.input], bound(page.if_up_to_date(page.cut)), [*typed, parts.cut], outputs, **TRIAL)
    parts.uncut.click(bound(page.uncut), known, outputs, **TRIAL)
    on_latest([parts.log.input], bound(page.redraw), known, outputs, **TRIAL)
    on_latest([parts.method.input], bound(page.choose_method), [*known, parts.method], outputs, **TRIAL)
    on_latest([parts.mode.input], bound(page.choose_mode), [*known, parts.mode], outputs, **TRIAL)
    fields = (parts.bsi, parts.tau, parts.layers, parts.cluster, parts.threshold)
    for triggers, handler, values in ((fields, page.change, parts.form), (parts.slots, page.fill, parts.slots)):
        listener = bound(page.if_up_to_date(handler))
        on_latest([field.input for field in triggers], listener, [*typed, *values], outputs, **TRIAL)
    parts.back.click(bound(page.discard), known, outputs, **TRIAL)
    parts.paper.click(bound(page.paper), known, outputs, **TRIAL)
    parts.use.click(bound(page.use), [session, trial], outputs, **SESSION)
    parts.effect.click(bound(page.open_list), [session, trial], outputs, **SESSION)
