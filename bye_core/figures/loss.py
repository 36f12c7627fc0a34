"""The loss curve of a fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import scipy

from bye_core.figures.theme import ACCENT, NEUTRAL, empty_figure, make_figure

# Standard deviation of the smoothing window as a share of the curve, and its bounds in points. The window is centred.
SPREAD, NARROWEST, WIDEST = 0.04, 1.0, 20.0


def loss_figure(facts: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the training loss (mean negative log-likelihood of an answer token, nats) over optimiser steps.

    facts  facts of the steps of `pipeline.finetune`, oldest first, with `step` and `loss`. `steps` (the total number),
           `rate` (learning rate) and `epoch` are shown if present. Events other than "step" are skipped.

    Traces: "loss" (raw, thin; `customdata` = [learning rate or null, epoch or null]) and "smoothed".
    """
    points = [fact for fact in facts if fact.get("event", "step") == "step" and fact.get("loss") is not None]
    if not points:
        return empty_figure("loss", "No loss yet. The first one comes after a few steps.")
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
    """Return the values, averaged in a Gaussian window of 4% of the curve; the curve is mirrored at both ends."""
    spread = min(max(SPREAD * len(values), NARROWEST), WIDEST)
    return [round(float(value), 5) for value in scipy.ndimage.gaussian_filter1d(np.asarray(values, float), spread)]


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
