"""Builds the Layers tab: how well each layer and head separates the samples into two groups."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bye_core.ui.session import Frame, Tab
from bye_core.ui.shared.bridge import changed, in_front
from bye_core.ui.shared.events import QUIET, SESSION, Binder, if_in_front, open_tab
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.tabs.layers import actions as page
from bye_core.ui.tabs.layers.actions import ALL_HEADS, Parts

NAME = "layers"
# These handlers run one at a time, so that the page shows the latest figure.
DRAW = {**QUIET, "concurrency_id": "layers", "concurrency_limit": 1, "trigger_mode": "always_last"}
IN_FRONT = in_front(NAME)
# Title of each figure, how to read it, and the term that it needs (a key of the glossary).
FIGURES = {
    "bsi": ("Separation of each layer", "How well a layer separates the samples into two groups. Click a bar.", "bsi"),
    "entropy": ("Entropy of each layer", "The entropies of the two groups in each layer. Click a point.", "entropy"),
    "heads": (
        "Separation of each head", "A single head may separate better than the mean of its layer. Click a cell.", "bsi",
    ),
    "scatter": ("Every sample", "Click a point to open it in Review. Draw a loop around several to list them there."),
}  # fmt: skip


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads the session and the trial.

    Clicks on figures write session.sample and session.selection. The buttons shown without a run or a detection write
    session.run and session.revision.
    """
    said = gr.HTML(padding=False, elem_id="layers-said")
    with gr.Row(visible=False, elem_classes="bye-actions", elem_id="layers-start") as start:
        demo, scan, detect = (
            gr.Button(words, variant=variant, scale=0, min_width=260, elem_id=f"layers-{id}")
            for words, variant, id in (
                ("Open the demo", "primary", "demo"),
                ("Scan a data set", "secondary", "scan"),
                ("Find suspicious samples", "primary", "detect"),
            )
        )
    with gr.Column(visible=False, elem_id="layers-view") as view:
        drawn = _lay_out()
    sent, chosen_at, in_tab = gr.State({}), gr.State(("", 0, ALL_HEADS)), gr.Checkbox(False, visible=False)
    parts = Parts(
        frame.session, frame.trial, frame.tabs, sent, chosen_at, in_tab, said, start, demo, scan, detect, view, *drawn
    )  # fmt: skip
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Layers", build, styles=("layers.css",))


def _lay_out() -> list[Any]:
    with gr.Row(elem_classes="bye-figures"):
        with gr.Column(min_width=320):
            bsi, entropy = _figure("bsi"), _figure("entropy")
        with gr.Column(min_width=320):
            with gr.Row(elem_classes="bye-chosen"):
                chosen = gr.HTML(padding=False, min_width=200, elem_id="layers-chosen")
                log = gr.Checkbox(False, label="Log scale", scale=0, min_width=120, elem_id="layers-log")
            with gr.Row():
                layer = gr.Dropdown([], label="Layer", min_width=150, elem_id="layers-layer")
                head = gr.Dropdown([], label="Head", min_width=150, elem_id="layers-head")
            histogram = gr.Plot(show_label=False, container=False, elem_id="plot-layer")
            heads = _figure("heads")
    return [bsi, entropy, chosen, layer, head, histogram, log, heads, _figure("scatter")]


def _figure(name: str) -> gr.Plot:
    gr.HTML(page.heading(*FIGURES[name]), padding=False)
    return gr.Plot(show_label=False, container=False, elem_id=f"plot-{name}")


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    session, outputs = parts.session, parts.all()
    known = [session, parts.trial, parts.sent, parts.chosen_at, parts.log]

    bound = Binder(parts, lambda error, *_: page.show_failure(parts, error))
    tab.select(bound(page.draw), known, outputs, **DRAW).then(bound(page.draw_heads), known, outputs, **DRAW)
    for state in ("session", "trial"):
        drawing = changed(frame.bridge, state, NAME)(bound(page.draw), known, outputs, **DRAW)
        drawing.then(bound(page.draw_heads), known, outputs, **DRAW)
    fields = [parts.layer, parts.head]
    on_latest([field.input for field in fields], bound(page.choose), [*known, *fields], outputs, **DRAW)
    on_latest([parts.log.input], bound(page.redraw), known, outputs, **DRAW)
    on_figure = frame.bridge.click(bound(page.clicked), known, outputs, **SESSION)
    on_figure.then(bound(if_in_front(page.redraw)), [*known, parts.in_front], outputs, js=IN_FRONT, **DRAW)
    parts.demo.click(bound(page.open_demo), session, outputs, **SESSION)
    parts.detect.click(bound(page.detect), session, outputs, **SESSION)
    parts.scan.click(open_tab("scan"), None, frame.tabs, **QUIET)
