"""What Layers shows and what its clicks do: each handler reads the open run and the trial, and answers with updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go

from bye_core.detect import PAPER
from bye_core.detect.mixture import bsi_paper, modes
from bye_core.figures import (
    bsi_figure,
    entropy_figure,
    heads_figure,
    layer_histogram,
    scatter_figure,
    score_points,
    suspicious_side,
)
from bye_core.records import LayerReport
from bye_core.ui import demo_run
from bye_core.ui.adjust import trying
from bye_core.ui.adjust.trial import Trial, is_same
from bye_core.ui.adjust.trying import NotReady, Trying
from bye_core.ui.session import Session
from bye_core.ui.shared.messages import note
from bye_core.ui.shared.plots import Sent, fresh
from bye_core.ui.workspace import workspace_of

ALL_HEADS = -1
TALL = 340  # pixels

# The run, the layer and the head whose histogram is shown; another run starts with its most separated layer.
ChosenAt = tuple[str, int, int]
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    session: gr.State
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

    def all(self) -> list[Any]:
        return list(vars(self).values())


def heading(title: str, words: str) -> str:
    return f'<div class="bye-heading"><h3>{escape(title)}</h3><p class="bye-hint">{escape(words)}</p></div>'


# --- what is drawn, and when ------------------------------------------------------------------------------------


def in_front(function: Callable[..., Update]) -> Callable[..., Update]:
    """`function`, but only where its last argument says that somebody looks at the tab."""

    def looked_at(parts: Parts, *values: Any) -> Update:
        *known, front = values
        return function(parts, *known) if front else {parts.sent: gr.skip()}

    return looked_at


def draw(parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool) -> Update:
    """All but the map of heads, which takes longest (`draw_heads`)."""
    t = trying.look(session, trial)
    trial, tried, begun = t.trial, t.tried, at
    at = chosen_at(session, t, at)
    tau = trial["tau"] if trial.method == PAPER and trial["layers"] is None and trial["select"] is not False else None
    figures = {
        parts.bsi: tall(bsi_figure(t.reports, tau, trial["bsi"] or "paper")),
        parts.entropy: tall(entropy_figure(t.reports, t.entropies, side_of(t))),
        parts.histogram: histogram(t, at, log),
        parts.scatter: scatter_figure(score_points(t.table, tried), t.decisions),
    }
    plots, now = fresh(figures, sent)
    return {
        parts.said: said(t), parts.start: gr.Row(visible=False), parts.view: gr.Column(visible=True),
        parts.sent: now, **plots, **_fields(parts, t, at), **({} if at == begun else {parts.chosen_at: at}),
    }  # fmt: skip


def draw_heads(parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool) -> Update:
    """The map of heads, and the names of the heads of the chosen layer."""
    t = trying.look(session, trial)
    figure = heads_figure(t.heads(), t.tried.sensitive_layers, t.trial["tau"])
    plots, now = fresh({parts.heads: figure}, sent)
    return {parts.sent: now, **plots, **_fields(parts, t, chosen_at(session, t, at), t.heads())}


def redraw(parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool) -> Update:
    """The histogram alone."""
    t = trying.look(session, trial)
    at = chosen_at(session, t, at)
    plots, now = fresh({parts.histogram: histogram(t, at, log)}, sent)
    return {parts.sent: now, **plots, **_fields(parts, t, at, t.heads())}


def choose(
    parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool, layer: int, head: int
) -> Update:
    at = (session.run, layer, head)
    return {**redraw(parts, session, trial, sent, at, log), parts.chosen_at: at}


def teach(parts: Parts, error: NotReady) -> Update:
    """What is missing, and the one button that makes it."""
    return {
        parts.said: note(f"{error.problem} {error.remedy}"),
        parts.start: gr.Row(visible=True),
        parts.demo: gr.Button(visible=error.state == "closed" and demo_run.has_demo()),
        parts.scan: gr.Button(visible=error.state in ("closed", "unscored")),
        parts.detect: gr.Button(visible=error.state == "undetected"),
        parts.view: gr.Column(visible=False),
        parts.sent: gr.skip(),
    }


# --- what clicks do ---------------------------------------------------------------------------------------------


def clicked(
    parts: Parts, session: Session, trial: Trial, sent: Sent, at: ChosenAt, log: bool, event: gr.EventData
) -> Update:
    """A click or a lasso on any figure of the page; what it says comes from a browser and is believed of nothing."""
    plot, points = getattr(event, "plot", ""), getattr(event, "points", None)
    if not isinstance(points, list) or not points:
        return {parts.sent: gr.skip()}
    if plot == parts.scatter.elem_id:
        return open_samples(parts, session, points)
    layer, head = place_of(points[0])
    if layer is None or plot not in (parts.bsi.elem_id, parts.entropy.elem_id, parts.heads.elem_id):
        return {parts.sent: gr.skip()}
    return {parts.chosen_at: (session.run, layer, head)}


def place_of(point: Any) -> tuple[int | None, int]:
    """A point's layer and head: `customdata` is a layer, or [layer, head]."""
    layer, head = point if isinstance(point, list) and len(point) == 2 else (point, ALL_HEADS)
    whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (layer, head))
    return (layer, head) if whole else (None, ALL_HEADS)


def open_samples(parts: Parts, session: Session, points: Sequence[Any]) -> Update:
    """One sample, or a list of several, in Review."""
    view, _ = trying.opened(session)
    ids = tuple(dict.fromkeys(id for id in points if isinstance(id, str) and id in view.place))
    if not ids:
        return {parts.sent: gr.skip()}
    one = len(ids) == 1
    opened = replace(session, sample=ids[0] if one else "", selection=() if one else ids)
    return {parts.session: opened, parts.tabs: gr.Tabs(selected="review")}


def open_demo(parts: Parts, session: Session) -> Update:
    return {parts.session: replace(session, run=demo_run.open_demo(workspace_of(session.visitor)))}


def detect(parts: Parts, session: Session) -> Update:
    return {parts.session: trying.first_detection(session)}


# --- what is shown ----------------------------------------------------------------------------------------------


def chosen_at(session: Session, t: Trying, at: ChosenAt) -> ChosenAt:
    """What was chosen if it is of this run, else its most separated layer."""
    run, layer, head = at
    heads = t.table.entropy.shape[2] if t.table.entropy is not None else 0
    if run != session.run or not isinstance(layer, int) or not 0 <= layer < len(t.reports):
        return session.run, t.best.layer, ALL_HEADS
    return run, layer, head if isinstance(head, int) and 0 <= head < heads else ALL_HEADS


def tall(figure: go.Figure) -> go.Figure:
    """As high as what stands beside it."""
    return figure.update_layout(height=TALL)


def side_of(t: Trying) -> str | None:
    """The suspicious mode of the entropies; none of them where the method judged something else."""
    return suspicious_side(t.tried) if t.tried.method == PAPER else None


def histogram(t: Trying, at: ChosenAt, log: bool) -> go.Figure:
    """Of a layer, or of one of its heads; split by the truth if there is one, else by the flags."""
    _, layer, head = at
    values, report, side = t.entropies[:, layer], t.reports[layer], side_of(t)
    if head != ALL_HEADS:
        values = t.table.entropy[:, layer, head]
        report = head_report(layer, values)
    flagged = t.tried.flagged if t.tried.flagged.any() else None
    figure = layer_histogram(values, report, side, flagged, t.truth, log)
    if head != ALL_HEADS:
        figure.update_xaxes(title_text=f"entropy of layer {layer}, head {head} [nats]")
    return figure


def head_report(layer: int, values: np.ndarray) -> LayerReport:
    """One head judged as the detector judges a layer."""
    found = modes(np.asarray(values[np.isfinite(values)], np.float64))
    bsi = bsi_paper(found.mixture) if found.mixture else float("nan")
    return LayerReport(layer, found.mixture, bsi, float("nan"), False, found.note)


def said(t: Trying) -> str:
    """Why this is the verdict; and which it is, where it is only tried out and so differs from the page's header."""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in t.tried.reasons)
    return f'<div class="bye-said">{"" if is_same(t.used, t.tried) else _unsaved(t)}<ul>{reasons}</ul></div>'


def _unsaved(t: Trying) -> str:
    flagged, total = int(t.tried.flagged.sum()), len(t.tried.ids)
    return (
        f'<p class="bye-unsaved"><b>Tried out, not in use yet:</b> {flagged:,} of {total:,} flagged. '
        '<button type="button" class="bye-list" data-adjust>Use or discard it in Adjust</button></p>'
    )


def _fields(parts: Parts, t: Trying, at: ChosenAt, heads: np.ndarray | None = None) -> Update:
    """The fields that name what the histogram shows."""
    _, layer, head = at
    layers = [(layer_label(report), report.layer) for report in t.reports]
    count = t.table.entropy.shape[2] if t.table.entropy is not None else 0
    known = np.full(count, np.nan) if heads is None else heads[layer]
    names = [("mean of all", ALL_HEADS)]
    names += [(f"{n}" + ("" if np.isnan(known[n]) else f": BSI {known[n]:.2f}"), n) for n in range(count)]
    what = f"Layer {layer}" + (f", head {head}" if head != ALL_HEADS else "")
    report = t.reports[layer]
    part = "takes part" if report.sensitive else "takes no part"
    role = f"This layer {part} in the mean entropy."
    if t.trial.method != PAPER:
        role = f"This layer {part}{f': {report.note}' if report.sensitive and report.note else ''}."
    return {
        parts.chosen: heading(what, role),
        parts.layer: gr.Dropdown(choices=layers, value=layer),
        parts.head: gr.Dropdown(choices=names, value=head),
    }


def layer_label(report: LayerReport) -> str:
    """A sensitive layer bears the mark that it has in the figures."""
    bsi = f"BSI {report.bsi:.2f}" if report.mixture else "no mixture"
    return f"{report.layer}: {bsi}{' ▸' if report.sensitive else ''}"
