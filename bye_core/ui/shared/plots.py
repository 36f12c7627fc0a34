"""Sends figures to gr.Plot with their own configuration, and only if they have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from gradio.components.plot import PlotData

from bye_core.figures import as_json

Sent = Mapping[str, str]


def fresh(figures: Mapping[gr.Plot, go.Figure], sent: Sent) -> tuple[dict[Any, PlotData], dict[str, str]]:
    """Return updates for the plots whose figure differs from `sent` (elem_id -> digest), and the new `sent`.

    Drawing a figure again makes it flicker and slows the page, and most figures stay the same after a change.
    """
    updates, now = {}, dict(sent)
    for plot, figure in figures.items():
        text = as_json(figure)
        digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        if now.get(plot.elem_id) != digest:
            updates[plot] = PlotData(type="plotly", plot=text)
            now[plot.elem_id] = digest
    return updates, now


def plot_data(figure: go.Figure) -> PlotData:
    """Return the figure as plot data that includes its configuration, which Gradio would otherwise drop."""
    return PlotData(type="plotly", plot=as_json(figure))


def drawn(figure: go.Figure) -> gr.Plot:
    return gr.Plot(plot_data(figure), visible=True)
