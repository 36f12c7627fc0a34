"""Builds the Method tab: how the method works, what the numbers mean, and what it misses, with images of the demo."""

from __future__ import annotations

import gradio as gr

from bye_core import figures
from bye_core.ui.session import Frame, Tab
from bye_core.ui.shared.plots import plot_data
from bye_core.ui.tabs.method import content

NAME = "method"


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It is the same for every visitor, so it is built once and reads no session."""
    example = content.find_example()
    gr.HTML(content.steps(), elem_id="method-steps")
    if example:
        with gr.Row(elem_classes="bye-example"):
            gr.HTML(content.pair(example), elem_id="method-pair")
            settings = example.detection.settings
            figure = figures.bsi_figure(
                example.detection.layers, settings.get("tau", 2.0), settings.get("bsi", "paper")
            )
            gr.Plot(plot_data(figure), show_label=False, elem_id="method-bsi")
    with gr.Row(elem_classes="bye-read"):
        gr.HTML(content.numbers(), elem_id="method-numbers")
        gr.HTML(content.limits(), elem_id="method-limits")


TAB = Tab(NAME, "Method", build)
