"""Fine-tuning while it runs (loss curve), and what came of it (CP and ASR before and after)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.ndimage import gaussian_filter1d

from bye_core.figures.theme import ACCENT, NEUTRAL, empty_figure, make_figure

# Spread of the smoothing as a share of the curve, and its bounds in facts. Centred, so that it does not lag behind.
SPREAD, NARROWEST, WIDEST = 0.04, 1.0, 20.0

MEASURES = {"cp": ("CP", "higher is better"), "asr": ("ASR", "lower is better")}
BEFORE, AFTER = "before cleaning", "after cleaning"


def loss_figure(facts: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Training loss (mean negative log-likelihood of an answer token, nats) over optimiser steps.

    facts  what `pipeline.finetune` yields, oldest first: each with `step` and `loss`; `steps` (how many there will
           be), `rate` (learning rate) and `epoch` are shown where present. Events other than "step" are left out.

    Traces: "loss" (raw, thin; `customdata` = [learning rate or null, epoch or null]) and "smoothed".
    """
    points = [fact for fact in facts if fact.get("event", "step") == "step" and fact.get("loss") is not None]
    if not points:
        return empty_figure("loss", "No loss yet: the first one comes after a few steps.")
    steps, losses = [int(fact["step"]) for fact in points], [round(float(fact["loss"]), 5) for fact in points]
    extras = [[fact.get("rate"), fact.get("epoch")] for fact in points]
    lines = ["step %{x}", "loss %{y:.4f} nats"]
    lines += ["learning rate %{customdata[0]:.2e}"] if any(rate is not None for rate, _ in extras) else []
    lines += ["epoch %{customdata[1]:.2f}"] if any(epoch is not None for _, epoch in extras) else []
    raw = _line("loss", steps, losses, NEUTRAL, 1, "<br>".join(lines))
    raw.customdata = extras
    mean = _line("smoothed", steps, smoothed(losses), ACCENT, 2.5, "smoothed %{y:.4f} nats")
    figure = make_figure("loss", [raw, mean], "step", "loss [nats a token]", hovermode="x")
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(range=[0, max([*steps, *(int(fact.get("steps") or 0) for fact in points)])], showgrid=False)
    return figure


def smoothed(values: Sequence[float]) -> list[float]:
    """Mean under a Gaussian window of 4% of the curve, mirrored at both ends."""
    spread = min(max(SPREAD * len(values), NARROWEST), WIDEST)
    return [round(float(value), 5) for value in gaussian_filter1d(np.asarray(values, float), spread)]


def _line(name: str, x: list[int], y: list[float], color: str, width: float, hover: str) -> go.Scatter:
    return go.Scatter(
        name=name,
        uid=name,
        mode="lines+markers" if len(x) == 1 else "lines",
        x=x,
        y=y,
        line={"color": color, "width": width},
        opacity=0.6 if color == NEUTRAL else 1,
        hovertemplate=f"{hover}<extra></extra>",
    )


def outcome_figure(before: Mapping[str, Any], after: Mapping[str, Any]) -> go.Figure:
    """CP and ASR in % before and after cleaning, side by side; a measure missing or None has no bar.

    before, after  the facts of `pipeline.evaluate`: `cp` and `asr`, 0..1
    Traces: "before cleaning", "after cleaning".
    """
    ticks = [f"{label}<br>{sense}" for label, sense in MEASURES.values()]
    traces = []
    for name, facts, color in ((BEFORE, before, NEUTRAL), (AFTER, after, ACCENT)):
        shares = [facts.get(key) for key in MEASURES]
        traces.append(
            go.Bar(
                name=name,
                uid=name,
                x=ticks,
                y=[None if share is None else round(100 * share, 2) for share in shares],
                text=["not measured" if share is None else f"{share:.1%}" for share in shares],
                textposition="outside",
                cliponaxis=False,
                hovertemplate=f"{name}<br>%{{y:.1f}}%<extra></extra>",
                marker={"color": color, "opacity": 0.7 if color == NEUTRAL else 1, "line_width": 0},
            )
        )
    figure = make_figure("outcome", traces, "", "share of answers [%]", barmode="group", bargap=0.35, bargroupgap=0.08)
    figure.update_yaxes(range=[0, 112], tickvals=[0, 25, 50, 75, 100])
    figure.update_xaxes(showgrid=False)
    return figure


def outcome_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, str]]:
    """The same as rows of a table: measure, before, after, change in percentage points; all words, to be shown."""
    rows = []
    for key, (label, sense) in MEASURES.items():
        pair = before.get(key), after.get(key)
        unknown = None in pair
        rows.append(
            {
                "measure": f"{label} ({sense})",
                "before": "not measured" if pair[0] is None else f"{pair[0]:.1%}",
                "after": "not measured" if pair[1] is None else f"{pair[1]:.1%}",
                "change": "" if unknown else f"{100 * (pair[1] - pair[0]):+.1f} points",
            }
        )
    return rows
