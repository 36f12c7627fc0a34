"""Figures of all layers: how well each layer separates the samples (BSI), and its two modes (entropy).

Every clickable point stores its layer in `customdata`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go

from bye_core.figures.modes import side_colors, side_names
from bye_core.figures.theme import ACCENT, NEUTRAL, faded, layer_axis, make_figure, mark_value
from bye_core.records import LayerReport

QUANTILES = (0.1, 0.9)
BAR_WIDTH = 0.8  # width of a bar, in layers; with few layers, bars of plotly's default width cover their neighbours
BSI_NAMES = {"paper": "BSI", "reference": "BSI, authors' code"}


def bsi_figure(
    reports: Sequence[LayerReport], tau: float | None = 2.0, variant: str = "paper", unit: str = "nats"
) -> go.Figure:
    """Draw each layer's bimodal separation index (BYE, Eq. 7), no unit, and the threshold `tau`.

    Traces: "other layer", "sensitive layer" (bars), "sensitive" (triangles above those bars), "no mixture" (crosses on
    the axis); `customdata` = layer. `variant` as in the detection's settings: "paper" or "reference". `unit`: the unit
    of the entropies, for the text of a point.
    """
    top = max([report.bsi for report in reports if math.isfinite(report.bsi)] + [tau or 0.0, 1.0])
    # A mixture without spread has an infinite BSI; its bar is drawn higher than all other bars.
    heights = [min(report.bsi, 1.1 * top) if report.mixture else math.nan for report in reports]
    other = [(report, height) for report, height in zip(reports, heights, strict=True) if not report.sensitive]
    chosen = [(report, height) for report, height in zip(reports, heights, strict=True) if report.sensitive]
    above = [(report, (0 if math.isnan(height) else height) + 0.05 * top) for report, height in chosen]
    traces = [
        _bars("other layer", NEUTRAL, other, unit),
        _bars("sensitive layer", ACCENT, chosen, unit),
        _marks("sensitive", "triangle-down", ACCENT, above, unit),
        _marks("no mixture", "x-thin-open", NEUTRAL, [(r, 0.0) for r in reports if not r.mixture], unit, legend=True),
    ]
    figure = make_figure("bsi", traces, "layer", BSI_NAMES.get(variant, "BSI"), barmode="overlay", bargap=0.25)
    figure.update_xaxes(**layer_axis(len(reports)))
    figure.update_yaxes(range=[0, 1.15 * max([top, *filter(math.isfinite, heights)])])
    if tau is not None:
        mark_value(figure, tau, f"τ = {tau:g}", axis="y")
    return figure


def _bars(name: str, color: str, chosen: list[tuple[LayerReport, float]], unit: str) -> go.Bar:
    chosen = [(report, height) for report, height in chosen if report.mixture]
    return go.Bar(
        name=name,
        uid=name,
        x=[report.layer for report, _ in chosen],
        y=[height for _, height in chosen],
        width=BAR_WIDTH,
        customdata=[report.layer for report, _ in chosen],
        text=[_hover(report, unit) for report, _ in chosen],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
        marker={"color": color, "opacity": 1.0 if color == ACCENT else 0.8, "line_width": 0},
        showlegend=bool(chosen),
    )


def _marks(
    name: str, symbol: str, color: str, chosen: list[tuple[LayerReport, float]], unit: str, legend: bool = False
) -> go.Scatter:
    return go.Scatter(
        name=name,
        uid=name,
        mode="markers",
        x=[report.layer for report, _ in chosen],
        y=[height for _, height in chosen],
        customdata=[report.layer for report, _ in chosen],
        text=[_hover(report, unit) for report, _ in chosen],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": symbol,
            "color": color,
            "size": 8,
            "line": {"width": 2 * symbol.endswith("open"), "color": color},
        },
        cliponaxis=False,
        showlegend=legend and bool(chosen),
    )


def _hover(report: LayerReport, unit: str) -> str:
    lines = [f"<b>layer {report.layer}{', sensitive' if report.sensitive else ''}</b>"]
    if report.mixture:
        (low, high), (s1, s2), (w1, w2) = report.mixture.means, report.mixture.stds, report.mixture.weights
        lines.append(f"BSI {report.bsi:.2f}")
        lines.append(f"high mode {high:.3f} ± {s2:.3f} {unit}, {w2:.1%}")
        lines.append(f"low mode {low:.3f} ± {s1:.3f} {unit}, {w1:.1%}")
    return "<br>".join(lines + ([report.note] if report.note else []))


def entropy_figure(
    reports: Sequence[LayerReport],
    entropies: np.ndarray | None = None,
    suspicious: str | None = None,
    tokens: int | None = None,
    unit: str = "nats",
) -> go.Figure:
    """Draw both modes of each layer's mixture, mean ± standard deviation (BYE, Eq. 5-6).

    reports     of L layers; a layer without a mixture shows the median and the middle 80% of its `entropies`
    entropies   [N, L]: `ScanTable.layer_entropies`, NaN where unknown
    suspicious  "low", "high" or None: which mode gets the warm colour (`suspicious_side`)
    tokens      V, the number of image tokens of a sample; the largest possible entropy is ln V nats
    unit        name of the unit of the entropies

    Traces: "low mode", "high mode" (lines with markers, filled where the layer is sensitive), "low mode band",
    "high mode band" (filled areas, no hover), "median"; `customdata` = layer.
    """
    traces: list[go.Scatter] = []
    for side, (color, shown) in enumerate(zip(side_colors(suspicious), side_names(suspicious), strict=True)):
        traces += _mode_traces(reports, side, color, shown, unit)
    traces.append(_medians([r for r in reports if not r.mixture], entropies, unit))
    figure = make_figure("entropy", traces, "layer", f"entropy [{unit}]")
    figure.update_xaxes(**layer_axis(len(reports)))
    if tokens:
        mark_value(figure, math.log(tokens), f"ln {tokens} = {math.log(tokens):.2f}", axis="y", color=NEUTRAL)
    return figure


def _mode_traces(reports: Sequence[LayerReport], side: int, color: str, shown: str, unit: str) -> list[go.Scatter]:
    key = ("low mode", "high mode")[side]
    # None interrupts the line at layers without a mixture.
    means = [r.mixture.means[side] if r.mixture else None for r in reports]
    stds = [r.mixture.stds[side] if r.mixture else None for r in reports]
    layers = [report.layer for report in reports]
    x, y = band_outline(layers, means, stds)
    band = go.Scatter(
        name=f"{key} band", uid=f"{key} band", x=x, y=y, mode="lines", line={"width": 0, "color": color},
        fill="toself", hoverinfo="skip", fillcolor=faded(color, 0.22), showlegend=False, legendgroup=key,
    )  # fmt: skip
    symbol = ("circle", "square")[side]
    line = go.Scatter(
        name=shown,
        uid=key,
        meta=key,
        legendgroup=key,
        mode="lines+markers",
        x=layers,
        y=means,
        customdata=layers,
        text=[_hover(report, unit) for report in reports],
        hovertemplate="%{text}<extra></extra>",
        line={"color": color, "width": 1.5, "dash": ("solid", "dot")[side]},
        marker={
            "symbol": [symbol if report.sensitive else f"{symbol}-open" for report in reports],
            "size": [9 if report.sensitive else 5 for report in reports],
            "color": color,
            "line": {"color": color, "width": 1},
        },
    )
    return [band, line]


def band_outline(
    layers: Sequence[int], means: Iterable[float | None], stds: Iterable[float | None]
) -> tuple[list[float | None], list[float | None]]:
    """Return the outline (x, y) of mean ± std: one polygon per group of adjacent known layers, None between polygons.

    A single layer becomes a rectangle half a layer wide.
    """
    runs: list[list[tuple[float, float, float]]] = [[]]
    for layer, mean, std in zip(layers, means, stds, strict=True):
        if mean is None or std is None:
            runs.append([])
        else:
            runs[-1].append((layer, mean - std, mean + std))
    x: list[float | None] = []
    y: list[float | None] = []
    for run in filter(None, runs):
        if len(run) == 1:
            (middle, low, high) = run[0]
            run = [(middle - 0.25, low, high), (middle + 0.25, low, high)]
        x += ([None] if x else []) + [layer for layer, _, _ in run] + [layer for layer, _, _ in run[::-1]]
        y += ([None] if y else []) + [high for _, _, high in run] + [low for _, low, _ in run[::-1]]
    return x, y


def _medians(reports: list[LayerReport], entropies: np.ndarray | None, unit: str) -> go.Scatter:
    columns = {} if entropies is None else {r.layer: entropies[:, r.layer] for r in reports}
    known = {layer: column[np.isfinite(column)] for layer, column in columns.items()}
    known = {layer: column.astype(float) for layer, column in known.items() if len(column)}
    medians = [float(np.median(column)) for column in known.values()]
    ranges = [np.quantile(column, QUANTILES) for column in known.values()]
    return go.Scatter(
        name="median (no mixture)",
        uid="median",
        mode="markers",
        x=list(known),
        y=medians,
        customdata=list(known),
        text=[_hover(report, unit) for report in reports if report.layer in known],
        hovertemplate=f"%{{text}}<br>median %{{y:.3f}} {unit}<extra></extra>",
        error_y={
            "type": "data",
            "array": [float(high) - median for median, (_, high) in zip(medians, ranges, strict=True)],
            "arrayminus": [median - float(low) for median, (low, _) in zip(medians, ranges, strict=True)],
            "color": NEUTRAL,
        },
        marker={"symbol": "diamond-wide", "color": NEUTRAL, "size": 8},
        showlegend=bool(known),
    )
