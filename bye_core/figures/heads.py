"""The map of layers and heads: shows which single heads split the samples into two groups.

The BYE paper (arXiv 2505.16916) selects only layers, with one scikit-learn mixture per layer (Eq. 6-7). For 32 x 32
heads and 10,000 samples that takes about a minute. `head_bsi` (ours) computes the same index from histograms in less
than a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from bye_core.figures.theme import ACCENT, SCALE, empty_figure, layer_axis, make_figure

# Ours: more bins did not bring the result closer to scikit-learn's mixture on the raw values.
BINS = 128

# The fit stops if the mean log-likelihood (nats) gains less than TOLERANCE, or after ROUNDS rounds. Measured on 512
# synthetic heads with a second mode of 1% of the samples, 1.4 nats away: with scikit-learn's tolerance 1e-3, no head
# reaches tau; with 1e-5, 506 heads do for 10,000 samples, and 395 for 1,000. Heads without a second mode stay below tau
# with both tolerances.
TOLERANCE, ROUNDS = 1e-5, 200

FLOOR = 1e-6  # nats^2, added to every variance: scikit-learn's reg_covar

# Space for the marks at the left edge, as a share of the map.
EDGE = 0.025

NO_HEADS = "This run has no entropy of single heads.<br>Scan with a model to see them."


class Binned(NamedTuple):
    """Histograms of G heads: number, sum and sum of squares of the samples in each of B bins, each [G, B]."""

    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray


def head_bsi(entropy: np.ndarray) -> np.ndarray:
    """Return each head's bimodal separation index [L, H], which has no unit, from the entropies [N, L, H] in nats.

    Our implementation of the paper's Eq. 6-7 fits one two-component Gaussian mixture per head, all heads in parallel,
    by expectation-maximisation. Each head's values go into 128 bins that keep count, sum and sum of squares; all
    samples of a bin get the same responsibility. The fit starts from two-means (Otsu's rule), as in scikit-learn. It
    stops later (`TOLERANCE`), so it also finds modes with 1% of the samples, and the index can exceed that of the
    detector. Uniform values, which have no two modes, can reach an index of 2.2. The result is NaN if fewer than two
    samples are known or all are equal.
    """
    count, layers, heads = entropy.shape
    if count < 2:
        return np.full((layers, heads), np.nan)
    parts = [_binned(entropy[:, layer]) for layer in range(layers)]  # one layer at a time, to save memory
    binned = Binned(*(np.concatenate(arrays) for arrays in zip(*(part for part, _ in parts), strict=True)))
    span = np.concatenate([span for _, span in parts])
    usable = (binned.counts.sum(axis=1) >= 2) & (span > 0)
    answer = np.full(layers * heads, np.nan)
    if usable.any():
        # Each head's values are scaled to 0..1, so the lower bound of the variances is scaled too.
        answer[usable] = _separation(Binned(*(array[usable] for array in binned)), FLOOR / span[usable] ** 2)
    return answer.reshape(layers, heads)


def _binned(values: np.ndarray) -> tuple[Binned, np.ndarray]:
    """Return (histograms [H, B] of one layer's values [N, H], scaled to 0..1; span [H] of each head's values)."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0)
    high = np.where(known, values, -np.inf).max(axis=0)
    span = np.where(known.any(axis=0), high - low, 0.0)
    heads = values.shape[1]
    if known.all():
        scaled = ((values - low) / np.where(span > 0, span, 1)).ravel()
        head = np.broadcast_to(np.arange(heads), values.shape).ravel()
    else:
        _, head = np.nonzero(known)
        scaled = (values[known] - low[head]) / np.where(span > 0, span, 1)[head]
    cell = np.minimum((scaled * BINS).astype(np.int64), BINS - 1) + head * BINS
    weights = (None, scaled, scaled * scaled)
    arrays = [np.bincount(cell, weight, heads * BINS).reshape(heads, BINS).astype(float) for weight in weights]
    return Binned(*arrays), span


def _separation(binned: Binned, floor: np.ndarray) -> np.ndarray:
    """Fit a mixture to each of G histograms and return |mu1 - mu2| / sqrt(s1^2 + s2^2), [G]."""
    answer = np.empty(len(floor))
    live = np.arange(len(floor))
    low = otsu(binned)  # [G, B] responsibility of the low component
    reached = np.full(len(floor), -np.inf)
    for _ in range(ROUNDS):
        weights, means, variances = _maximise(binned, low, floor)
        answer[live] = np.abs(means[0] - means[1]) / np.sqrt(variances.sum(axis=0))
        low, likelihood = _expect(binned, weights, means, variances)
        moving = np.abs(likelihood - reached) >= TOLERANCE
        if not moving.any():
            break
        binned = Binned(*(array[moving] for array in binned))
        live, low, floor, reached = live[moving], low[moving], floor[moving], likelihood[moving]
    return answer


def otsu(binned: Binned) -> np.ndarray:
    """Return an array [G, B]: 1.0 in the bins up to Otsu's cut (least squared distances to both means), else 0.0."""
    counts, sums = np.cumsum(binned.counts, axis=1), np.cumsum(binned.sums, axis=1)
    total, sum_all = counts[:, -1:], sums[:, -1:]
    both = (counts > 0) & (counts < total)
    between = (sum_all * counts / total - sums) ** 2 / np.where(both, counts * (total - counts), 1)
    cut = np.where(both, between, -1).argmax(axis=1)
    return (np.arange(counts.shape[1]) <= cut[:, None]).astype(float)


def _maximise(binned: Binned, low: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (weights, means, variances), each [2, G]: row 0 for the low component, row 1 for the high component."""
    share = np.stack([low, 1 - low])  # [2, G, B]
    counts, sums, squares = ((array * share).sum(axis=-1) for array in binned)
    counts = counts + 10 * np.finfo(float).eps
    means = sums / counts
    variances = np.maximum(squares / counts - means**2, 0) + floor
    return counts / counts.sum(axis=0), means, variances


def _expect(
    binned: Binned, weights: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (responsibility [G, B] of the low component for each bin's mean, mean log-likelihood [G])."""
    place = binned.sums / np.maximum(binned.counts, 1)
    scale = np.log(weights) - 0.5 * np.log(2 * np.pi * variances)
    log = scale[:, :, None] - (place - means[:, :, None]) ** 2 / (2 * variances[:, :, None])  # [2, G, B]
    both = np.logaddexp(log[0], log[1])
    return np.exp(log[0] - both), (binned.counts * both).sum(axis=1) / binned.counts.sum(axis=1)


def heads_figure(
    separation: np.ndarray | None, sensitive: Sequence[int] = (), tau: float | None = 2.0, quantity: str = "BSI"
) -> go.Figure:
    """Draw the map of `separation` [L, H] (`head_bsi`; no unit), layers from top to bottom; None draws a message.

    Traces: "heads" (`customdata` = [layer, head]) and "sensitive layer" (marks at the left edge, `customdata` =
    layer). The scale runs from 0 to at least 2 tau, so that noise does not look like structure.
    """
    if separation is None:
        return empty_figure("heads", NO_HEADS)
    layers, heads = separation.shape
    finite = separation[np.isfinite(separation)]
    top = max([2 * (tau or 1.0), *finite.max(initial=0, keepdims=True)])
    figure = make_figure(
        "heads", [_map(separation, top, quantity), _edge_marks(sensitive, heads)], "head", "layer", 340
    )
    figure.update_xaxes(**layer_axis(heads) | {"range": [-0.5 - 2 * EDGE * heads, heads - 0.5]})
    figure.update_yaxes(**layer_axis(layers) | {"range": [layers - 0.5, -0.5]})
    figure.update_layout(margin_t=28)
    return figure


def _map(separation: np.ndarray, top: float, quantity: str) -> go.Heatmap:
    layers, heads = separation.shape
    return go.Heatmap(
        name="heads",
        uid="heads",
        z=[[round(float(v), 3) if np.isfinite(v) else None for v in row] for row in separation],
        customdata=[[[layer, head] for head in range(heads)] for layer in range(layers)],
        colorscale=SCALE,
        zmin=0,
        zmax=round(float(top), 3),
        xgap=1 if heads <= 16 else 0,
        ygap=1 if layers <= 16 else 0,
        hoverongaps=False,
        colorbar={"title": {"text": quantity, "side": "top"}, "thickness": 10, "outlinewidth": 0, "ypad": 0},
        hovertemplate=f"layer %{{y}}<br>head %{{x}}<br>{quantity} %{{z:.2f}}<extra></extra>",
    )


def _edge_marks(sensitive: Sequence[int], heads: int) -> go.Scatter:
    return go.Scatter(
        name="sensitive layer",
        uid="sensitive layer",
        mode="markers",
        x=[-0.5 - EDGE * heads] * len(sensitive),
        y=list(sensitive),
        customdata=list(sensitive),
        hovertemplate="layer %{y}, sensitive<extra></extra>",
        marker={"symbol": "triangle-right", "color": ACCENT, "size": 9},
        showlegend=bool(sensitive),
    )
