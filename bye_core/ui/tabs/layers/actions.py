"""The handlers of the Layers tab: draw the figures, and handle clicks on them.

Every handler reads the open run and the trial (the settings that Adjust tries), and returns updates of components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from bye_core.detect import PAPER, value_label
from bye_core.errors import ByeError
from bye_core.figures import (
    bsi_figure,
    entropy_figure,
    heads_figure,
    layer_histogram,
    scatter_figure,
    score_points,
    suspicious_side,
)
from bye_core.records import NOT_TESTED, LayerReport
from bye_core.ui import demo_run
from bye_core.ui.adjust.comparison import Comparison, NotReady, compare, detect_first, detected_run, with_mixture
from bye_core.ui.adjust.trial import Trial, is_same
from bye_core.ui.open_run import verdict
from bye_core.ui.session import Session
from bye_core.ui.shared import events
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.glossary import tooltip
from bye_core.ui.shared.messages import note, warn
from bye_core.ui.shared.obstacles import explanation
from bye_core.ui.shared.plots import Sent, fresh
from bye_core.ui.shared.project import open_run_in
from bye_core.ui.workspace import workspace_of

ALL_HEADS = -1
TALL = 340  # pixels

# Run, layer and head of the histogram.
ChosenAt = tuple[str, int, int]


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab. `sent` holds the digest of each figure on the page, by elem_id."""

    trial: gr.State
    tabs: gr.Tabs
    sent: gr.State
    chosen_at: gr.State
    in_front: gr.Checkbox
    said: gr.HTML
    start: gr.Row
    demo: gr.Button
    scan: gr.Button
    detect: gr.Button
    view: gr.Column
    bsi: gr.Plot
    entropy: gr.Plot
    chosen: gr.HTML
    layer: gr.Dropdown
    head: gr.Dropdown
    histogram: gr.Plot
    log: gr.Checkbox
    heads: gr.Plot
    scatter: gr.Plot


def heading(title: str, words: str, term: str = "") -> str:
    """Return a heading with a hint. `term` is a key of the glossary, whose term is explained behind the hint."""
    more = f" {tooltip(term)}" if term else ""
    return f'<div class="bye-heading"><h3>{escape(title)}</h3><p class="bye-hint">{escape(words)}{more}</p></div>'


# --- drawing ----------------------------------------------------------------------------------------------------


def draw(parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool) -> Update:
    """Draw all figures except the map of heads, which takes longest (see `draw_heads`)."""
    compared = compare(session, trial)
    trial, tried, begun = compared.trial, compared.tried, at
    at = chosen_at(session, compared, at)
    tau = trial["tau"] if trial.method == PAPER and trial["layers"] is None and trial["select"] is not False else None
    points = score_points(compared.table, tried, value_label=value_label(tried.method, tried.entropy_unit))
    figures = {
        parts.bsi: tall(bsi_figure(compared.reports, tau, trial["bsi"] or "paper", compared.unit)),
        parts.entropy: tall(
            entropy_figure(compared.reports, compared.entropies, side_of(compared), unit=compared.unit)
        ),
        parts.histogram: histogram(compared, at, log),
        parts.scatter: scatter_figure(points, compared.decisions),
    }
    plots, now = fresh(figures, sent)
    return {
        parts.said: reasons(compared), parts.start: gr.Row(visible=False), parts.view: gr.Column(visible=True),
        parts.sent: now, **plots, **_fields(parts, compared, at), **({} if at == begun else {parts.chosen_at: at}),
    }  # fmt: skip


def draw_heads(parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool) -> Update:
    """Draw the map of heads, and label the heads of the chosen layer with their BSI."""
    compared = compare(session, trial)
    figure = heads_figure(compared.heads(), compared.tried.sensitive_layers, compared.trial["tau"])
    plots, now = fresh({parts.heads: figure}, sent)
    return {parts.sent: now, **plots, **_fields(parts, compared, chosen_at(session, compared, at), compared.heads())}


def redraw(parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool) -> Update:
    """Draw only the histogram."""
    compared = compare(session, trial)
    at = chosen_at(session, compared, at)
    plots, now = fresh({parts.histogram: histogram(compared, at, log)}, sent)
    return {parts.sent: now, **plots, **_fields(parts, compared, at, compared.heads())}


def choose(
    parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool, layer: int, head: int
) -> Update:
    at = (session.run, layer, head)
    return {**redraw(parts, session, trial, sent, at, log), parts.chosen_at: at}


def show_failure(parts: Parts, error: ByeError) -> Update:
    """Show what is missing, with a button that provides it. For other errors, show a warning and change nothing."""
    if not isinstance(error, NotReady):
        warn(error)
        return parts.unchanged()
    return {
        parts.said: note(f"{error.problem} {error.remedy}"),
        parts.start: gr.Row(visible=True),
        parts.demo: gr.Button(visible=error.state == "closed" and demo_run.has_demo()),
        parts.scan: gr.Button(visible=error.state in ("closed", "unscored")),
        parts.detect: gr.Button(visible=error.state == "undetected"),
        parts.view: gr.Column(visible=False),
    }


# --- clicks -----------------------------------------------------------------------------------------------------


def clicked(
    parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool, event: gr.EventData
) -> Update:
    """Handle a click or a lasso on a figure. All values of the event are checked: they come from a browser."""
    plot, points = getattr(event, "plot", ""), getattr(event, "points", None)
    if not isinstance(points, list) or not points:
        return parts.unchanged()
    if plot == parts.scatter.elem_id:
        return open_samples(parts, session, points)
    layer, head = layer_and_head(points[0])
    if layer is None or plot not in (parts.bsi.elem_id, parts.entropy.elem_id, parts.heads.elem_id):
        return parts.unchanged()
    return {parts.chosen_at: (session.run, layer, head)}


def layer_and_head(point: Any) -> tuple[int | None, int]:
    """Return the layer and head of a point, whose `customdata` is a layer or [layer, head]."""
    layer, head = point if isinstance(point, list) and len(point) == 2 else (point, ALL_HEADS)
    valid = all(isinstance(value, int) and not isinstance(value, bool) for value in (layer, head))
    return (layer, head) if valid else (None, ALL_HEADS)


def open_samples(parts: Parts, session: Session, points: Sequence[Any]) -> Update:
    """Show one sample, or a list of several, in Review."""
    run, _ = detected_run(session)
    ids = tuple(dict.fromkeys(id for id in points if isinstance(id, str) and id in run.row_of))
    if not ids:
        return parts.unchanged()
    single = len(ids) == 1
    changed = replace(session, sample=ids[0] if single else "", selection=() if single else ids)
    return {parts.session: changed, parts.tabs: gr.Tabs(selected="review")}


def open_demo(parts: Parts, session: Session) -> Update:
    workspace = workspace_of(session.visitor)
    return {parts.session: open_run_in(workspace, session, demo_run.open_demo(workspace))}


def detect(parts: Parts, session: Session) -> Update:
    return {parts.session: detect_first(session)}


# --- display ----------------------------------------------------------------------------------------------------


def chosen_at(session: Session, compared: Comparison, at: ChosenAt) -> ChosenAt:
    """Return `at` if it is a layer and head of the open run, else the run's most separated layer (all heads)."""
    run, layer, head = at
    heads = compared.table.entropy.shape[2] if compared.table.entropy is not None else 0
    if run != session.run or not isinstance(layer, int) or not 0 <= layer < len(compared.reports):
        return session.run, compared.best.layer, ALL_HEADS
    return run, layer, head if isinstance(head, int) and 0 <= head < heads else ALL_HEADS


def tall(figure: go.Figure) -> go.Figure:
    """Set the height that all figures of the tab share."""
    return figure.update_layout(height=TALL)


def side_of(compared: Comparison) -> str | None:
    """Return the suspicious side of the entropies, "low" or "high"; None if the method does not judge entropies."""
    return suspicious_side(compared.tried) if compared.tried.method == PAPER else None


def histogram(compared: Comparison, at: ChosenAt, log: bool) -> go.Figure:
    """Draw the entropies of a layer or head, split by the loaded truth file, or by the flags without one."""
    _, layer, head = at
    values, report, side = compared.entropies[:, layer], compared.reports[layer], side_of(compared)
    of_head = None if head == ALL_HEADS else compared.table.head_entropies(layer, head)
    if of_head is not None:
        values = of_head
        report = with_mixture(LayerReport(layer, None, float("nan"), float("nan"), False, ""), values)
    flagged = compared.tried.flagged if compared.tried.flagged.any() else None
    figure = layer_histogram(values, report, side, flagged, compared.truth, log, compared.unit)
    if head != ALL_HEADS:
        figure.update_xaxes(title_text=f"entropy of layer {layer}, head {head} [{compared.unit}]")
    return figure


def reasons(compared: Comparison) -> str:
    """Return the HTML of the reasons for the verdict; for a trial, also the number of samples that it flags."""
    items = "".join(f"<li>{escape(reason)}</li>" for reason in explanation(compared.tried))
    trial = "" if is_same(compared.used, compared.tried) else _unsaved(compared)
    verdict_line = ""
    if compared.tried.verdict == NOT_TESTED:
        words, kind = verdict(compared.tried)
        verdict_line = f'<p><span class="bye-verdict bye-{kind}">{escape(words)}</span></p>'
    return f'<div class="bye-said">{trial}{verdict_line}<ul>{items}</ul></div>'


def _unsaved(compared: Comparison) -> str:
    flagged, total = int(compared.tried.flagged.sum()), len(compared.tried.ids)
    return (
        f'<p class="bye-unsaved"><b>Trial, not in use:</b> {flagged:,} of {total:,} flagged. '
        '<button type="button" class="bye-list" data-adjust>Use or discard it in Adjust</button></p>'
    )


def _fields(parts: Parts, compared: Comparison, at: ChosenAt, heads: np.ndarray | None = None) -> Update:
    """Update the heading and the two lists that name the layer and head of the histogram."""
    _, layer, head = at
    layers = [(layer_label(report), report.layer) for report in compared.reports]
    count = compared.table.entropy.shape[2] if compared.table.entropy is not None else 0
    known = np.full(count, np.nan) if heads is None else heads[layer]
    names = [("mean of all", ALL_HEADS)]
    names += [(f"{n}" + ("" if np.isnan(known[n]) else f": BSI {known[n]:.2f}"), n) for n in range(count)]
    what = f"Layer {layer}" + (f", head {head}" if head != ALL_HEADS else "")
    report = compared.reports[layer]
    part = "is used" if report.sensitive else "is not used"
    role = f"This layer {part} in the mean entropy."
    if compared.trial.method != PAPER:
        role = f"This layer {part}{f': {report.note}' if report.sensitive and report.note else ''}."
    return {
        parts.chosen: heading(what, role, "sensitive"),
        parts.layer: gr.Dropdown(choices=layers, value=layer),
        parts.head: gr.Dropdown(choices=names, value=head),
    }


def layer_label(report: LayerReport) -> str:
    """Return the name of a layer. A sensitive layer has the mark "▸", as in the figures."""
    bsi = f"BSI {report.bsi:.2f}" if report.mixture else "no mixture"
    return f"{report.layer}: {bsi}{' ▸' if report.sensitive else ''}"
