"""Figures on their way to gr.Plot: with their own configuration, and only when they have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from gradio.components.plot import PlotData

from bye_core import figures
from bye_core.figures import as_json

Sent = Mapping[str, str]


def fresh(figures: Mapping[gr.Plot, go.Figure], sent: Sent) -> tuple[dict[Any, PlotData], dict[str, str]]:
    """Updates for the plots whose figure differs from what was `sent` (elem_id -> digest), and what is sent then.

    A figure that is drawn again flickers and costs the page time; most of them survive most changes.
    """
    updates, now = {}, dict(sent)
    for plot, figure in figures.items():
        text = as_json(figure)
        digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        if now.get(plot.elem_id) != digest:
            updates[plot] = PlotData(type="plotly", plot=text)
            now[plot.elem_id] = digest
    return updates, now


def drawn(figure: go.Figure) -> gr.Plot:
    """The figure with its own configuration, which Gradio would leave out."""
    return gr.Plot(PlotData(type="plotly", plot=figures.as_json(figure)), visible=True)
