"""The components of the Fine-tune tab, and what one page shows in them; see tabs/finetune.py."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
import plotly.graph_objects as go
from gradio.components.plot import PlotData

from bye_core import figures, runs
from bye_core.runs import jobs
from bye_core.ui.messages import clip
from bye_core.ui.session import Session
from bye_core.ui.views import open_view
from bye_core.ui.visitors import Workplace

Update = dict[Any, Any]


@dataclass(frozen=True)
class Seen:
    """What the page shows by now, so that nothing is sent twice.

    visitor     whose work it shows; filled: the run that the form was filled for
    awaited     the tab was chosen before it was known who the visitor is
    job, state, drawn   the training, its state, how many losses of it are drawn
    settled     its end was told twice: a look that began before the end may reach the page after it
    measured    what the table of before and after shows; adapters: what its lists offer
    """

    visitor: str = ""
    filled: str | None = None
    awaited: bool = False
    job: str = ""
    state: str = ""
    settled: bool = False
    drawn: int = -1
    measured: str = ""
    adapters: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class Parts:
    """`form` are model, data, path, name and the settings in tuning's order; `test` are the evaluation's fields: data,
    trigger, size, target, truth file, and the two adapters."""

    session: gr.State
    seen: gr.State
    pulse: gr.Timer
    form: tuple[Any, ...]
    recipe: gr.Dropdown
    command: gr.Code
    notice: gr.HTML
    start: gr.Button
    job: gr.Dropdown
    status: gr.HTML
    figure: gr.Plot
    stop: gr.Button
    again: gr.Button
    log: gr.Textbox
    test: tuple[Any, ...]
    measure: gr.Button
    halt: gr.Button
    said: gr.HTML
    table: gr.HTML
    compared: gr.Plot

    def all(self) -> list[Any]:
        own = [part for name, part in vars(self).items() if name not in ("form", "test")]
        return [*own, *self.form, *self.test]


def open_run(place: Workplace, session: Session) -> runs.Run | None:
    """The run that the session looks at. Raises NoSuchRun where it is gone, or another visitor's."""
    return open_view(place.run_path(session.run)).run if session.run else None


def drawn(figure: go.Figure) -> gr.Plot:
    """The figure with its own configuration, which Gradio would leave out."""
    return gr.Plot(PlotData(type="plotly", plot=figures.as_json(figure)), visible=True)


def failure(found: jobs.Failure | None) -> str:
    """Why a job failed, "" where it did not. Only shown on one's own machine: it may name paths."""
    if found is None:
        return ""
    problem, remedy = escape(clip(found.problem, 1500)), escape(clip(found.remedy, 500))
    return f"<div class='bye-alert' role='alert'><strong>{problem}</strong> {remedy}</div>"
