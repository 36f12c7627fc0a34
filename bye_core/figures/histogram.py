"""Histograms of the clustered values, with the fitted mixture (as expected counts) and the cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bye_core.figures.modes import expected_counts, side_colors, suspicious_side
from bye_core.figures.theme import KEPT, NEUTRAL, SUSPICIOUS, empty_figure, make_figure, mark_value
from bye_core.records import Detection, LayerReport, Mixture

# Limits of the number of bins: enough to show a mode 0.1 nats wide, and few enough for the width of a phone.
FEWEST, MOST = 20, 60
CURVE_POINTS = 161
LEAST = 0.3  # curves end below this value: samples on a log scale, per cent of the highest bar on a linear scale

NOTHING_CLUSTERED = "No layer separates the samples, so nothing was clustered.<br>Lower tau or choose layers by hand."
NO_VALUES = "This method found nothing to measure,<br>so no sample has a value."


def layer_histogram(
    entropies: np.ndarray,
    report: LayerReport,
    suspicious: str | None = None,
    flagged: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    log: bool = False,
    unit: str = "nats",
) -> go.Figure:
    """Draw a histogram of one layer's entropies [N], in `unit`, with the mixture of its `report` (BYE, Eq. 6).

    Bars have one colour, or are split by `flagged` [N] bool, or by `truth` [N] bool (poisoned), which comes from a
    truth file that a person loaded. `log` puts counts on a log scale, for modes of a few samples.
    Traces: see `histogram_figure`.
    """
    if not np.isfinite(entropies).any():
        return empty_figure("layer_histogram", f"Layer {report.layer} has no entropy: {report.note or 'no number'}.")
    title = f"entropy of layer {report.layer} [{unit}]"
    parts = split_parts(len(entropies), flagged, truth)
    return histogram_figure("layer_histogram", entropies, parts, report.mixture, suspicious, None, title, log)


def final_histogram(
    detection: Detection,
    truth: np.ndarray | None = None,
    log: bool = False,
    value_label: str = "value",
) -> go.Figure:
    """Draw the N clustered values of a detection, split into flagged and unflagged, or by `truth` [N] bool.

    The figure shows the final mixture, if there is one, and the cut-off (BYE, Eq. 8), or says that evidence is missing.
    `value_label`: what the values measure, with the unit. Traces: see `histogram_figure`.
    """
    if not np.isfinite(detection.values).any():
        # Only the settings of BYE's rule contain tau.
        message = NOTHING_CLUSTERED if "tau" in detection.settings else NO_VALUES
        return empty_figure("final_histogram", message)
    parts = split_parts(len(detection.values), detection.flagged, truth)
    side = suspicious_side(detection)
    cutoff, final = detection.cutoff, detection.final
    return histogram_figure("final_histogram", detection.values, parts, final, side, cutoff, value_label, log)


def marked_histogram(detection: Detection, value: float, text: str, value_label: str = "value") -> go.Figure:
    """Draw `final_histogram` with a line at `value` (of a sample outside the run); the axis includes `value`."""
    figure = final_histogram(detection, value_label=value_label)
    known = detection.values[np.isfinite(detection.values)]
    if not len(known):
        return figure
    low, high = min(float(known.min()), value), max(float(known.max()), value)
    room = 0.04 * max(high - low, 1e-9)
    figure.update_xaxes(range=[low - room, high + room])
    mark_value(figure, value, text, color=NEUTRAL, leftwards=value > (low + high) / 2)
    # Below the label of the cut-off.
    figure.layout.annotations[-1].y = 0.86
    return figure


Part = tuple[str, np.ndarray, str, str]


def split_parts(count: int, flagged: np.ndarray | None, truth: np.ndarray | None) -> list[Part]:
    """Return (name, mask [N], colour, pattern) of each group of bars, bottom first. `truth` overrides `flagged`."""
    split, names = (flagged, ("unflagged", "flagged")) if truth is None else (truth, ("clean", "poisoned"))
    if split is None:
        return [("samples", np.ones(count, bool), NEUTRAL, "")]
    warm = np.asarray(split, bool)
    return [(names[1], warm, SUSPICIOUS, "/"), (names[0], ~warm, KEPT, "")]


def histogram_figure(
    name: str,
    values: np.ndarray,
    parts: Sequence[Part],
    mixture: Mixture | None,
    suspicious: str | None,
    cutoff: float | None,
    title: str,
    log: bool,
) -> go.Figure:
    """Draw bars of the `parts`, the expected counts "low mode", "high mode" and their "sum", and the cut-off line.

    Bars are stacked; on a log scale, where that would mislead, they overlap. Their counts sum to the number of finite
    values; `customdata` of a bar = (from, to) of its bin.
    """
    known = np.isfinite(values)
    edges = bin_edges(values[known])
    traces: list[Any] = [_bars(values, known, edges, part, log) for part in parts]
    if mixture:
        # Below this value, a curve shows only the tails of a Gaussian.
        least = LEAST if log else LEAST * max(max(trace.y) for trace in traces) / 100
        traces += _curves(mixture, edges, int(known.sum()), suspicious, least)
    figure = make_figure(name, traces, title, "samples", barmode="overlay" if log else "stack", bargap=0.04)
    if log:
        figure.update_yaxes(type="log", dtick=1, rangemode="normal")
    if cutoff is not None:
        mark_value(figure, cutoff, f"cut-off {cutoff:.3f}", leftwards=cutoff > (edges[0] + edges[-1]) / 2)
    return figure


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Return the edges of 20 to 60 equal bins over the finite `values` [N] (Freedman-Diaconis rule)."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.linspace(low - 0.5, high + 0.5, FEWEST + 1)
    q1, q3 = np.quantile(values, (0.25, 0.75))
    width = 2 * (q3 - q1) / len(values) ** (1 / 3)
    bins = MOST if width == 0 else int(np.clip(np.ceil((high - low) / width), FEWEST, MOST))
    return np.linspace(low, high, bins + 1)


def _bars(values: np.ndarray, known: np.ndarray, edges: np.ndarray, part: Part, log: bool) -> go.Bar:
    name, mask, color, pattern = part
    counts, _ = np.histogram(values[known & mask], edges)
    return go.Bar(
        name=name,
        uid=name,
        x=((edges[:-1] + edges[1:]) / 2).round(5).tolist(),
        y=counts.tolist(),
        width=float(edges[1] - edges[0]),
        customdata=[[float(low), float(high)] for low, high in pairwise(edges)],
        hovertemplate=f"%{{customdata[0]:.3f}} to %{{customdata[1]:.3f}}<br>{name} %{{y:,}}<extra></extra>",
        marker={
            "color": color,
            "opacity": 0.6,
            "line_width": 0,
            "pattern": {"shape": pattern, "fillmode": "overlay", "solidity": 0.3, "fgcolor": "#ffffff", "size": 6},
        },
    )


def _curves(mixture: Mixture, edges: np.ndarray, count: int, suspicious: str | None, least: float) -> list[go.Scatter]:
    width = edges[1] - edges[0]
    x = curve_points(mixture, edges)
    low, high = expected_counts(mixture, x, width, count)
    names = ("low mode", "high mode", "sum")
    styles = zip((*side_colors(suspicious), NEUTRAL), ("solid", "solid", "dot"), strict=True)
    return [
        go.Scatter(
            name=name,
            uid=name,
            mode="lines",
            x=x.round(5).tolist(),
            y=[round(float(v), 3) if v >= least else None for v in y],
            line={"color": color, "width": 2 if dash == "solid" else 1.5, "dash": dash},
            hovertemplate=f"%{{x:.3f}}<br>{name} %{{y:,.1f}} expected<extra></extra>",
        )
        for name, y, (color, dash) in zip(names, (low, high, low + high), styles, strict=True)
    ]


def curve_points(mixture: Mixture, edges: np.ndarray) -> np.ndarray:
    """Return the x values [X] of the curves: evenly over the bins, and densely around narrow components."""
    spread = np.linspace(-4, 4, 41)
    around = [
        mean + spread * max(std, edges[1] - edges[0]) for mean, std in zip(mixture.means, mixture.stds, strict=True)
    ]
    points = np.concatenate([np.linspace(edges[0], edges[-1], CURVE_POINTS), *around])
    return np.unique(points[(points >= edges[0]) & (points <= edges[-1])])
