"""The scatter plot of all samples: colours show flags, shapes show decisions, and a lasso selects samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from bye_core.figures.theme import KEPT, SUSPICIOUS, empty_figure, make_figure, mark_value
from bye_core.records import IMAGE, NATS, UNIT_NAMES, Decision, Detection, ScanTable

# With more points than this, SVG slows the page down. Plotly's WebGL draws 100,000.
WEBGL_FROM = 2000

# Names of `Decision.choice`; "none" or no decision is UNDECIDED.
DECISIONS = {"accept": "accepted", "reject": "rejected"}
UNDECIDED = "undecided"

SYMBOLS = {
    (False, UNDECIDED): "circle",
    (True, UNDECIDED): "triangle-up",
    (True, "accepted"): "square",
    (False, "accepted"): "square-open",
    (True, "rejected"): "x",
    (False, "rejected"): "x-open",
}


class Points(NamedTuple):
    """M samples to draw: ids, coordinates [M], flagged [M] bool, titles with units, and the cut-off on x."""

    ids: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    flagged: np.ndarray
    x_title: str
    y_title: str
    cutoff: float | None = None


def score_points(
    table: ScanTable, detection: Detection | None = None, layer: int | None = None, value_label: str = "value"
) -> Points:
    """Return the points for `scatter_figure`: the samples that are in both `table` and `detection`.

    x: the clustered value (BYE: mean entropy over the sensitive layers). Without evidence or detection: the mean
    entropy over all layers. If `layer` is given: the entropy of that layer.
    y: share of all attention on the image, mean over heads and the same layers, 0..1 (ours: in small models, the image
    mass of single heads separated poison better than entropy); the detector's score if the table has no masses.
    `value_label`: what the values of the detection measure, with the unit.
    """
    rows, places = _common(table, detection)
    variant, unit = "paper", NATS
    if detection is not None:
        variant, unit = detection.settings.get("entropy") or "paper", detection.entropy_unit
    entropies, name = table.with_unit(unit).layer_entropies(variant)[rows], UNIT_NAMES[unit]
    values = np.empty(0) if detection is None else detection.values[places]
    sensitive = () if detection is None else detection.sensitive_layers
    cutoff = None
    if layer is not None:
        layers, x, x_title = [layer], entropies[:, layer], f"entropy of layer {layer} [{name}]"
    elif detection is not None and np.isfinite(values).any():
        layers, x, x_title, cutoff = list(sensitive), values, value_label, detection.cutoff
    else:
        layers, x, x_title = [], _mean(entropies), f"mean entropy of all layers [{name}]"
    layers = layers or list(range(entropies.shape[1]))
    y, y_title = _second(table, detection, rows, places, layers)
    flagged = np.zeros(len(rows), bool) if detection is None else detection.flagged[places]
    return Points(tuple(table.ids[row] for row in rows), x, y, flagged, x_title, y_title, cutoff)


def _common(table: ScanTable, detection: Detection | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (row numbers in `table`, row numbers in `detection`) of the samples in both; the scan may have more."""
    if detection is None or detection.ids == table.ids:
        everything = np.arange(len(table.ids))
        return everything, everything
    places = {id: place for place, id in enumerate(detection.ids)}
    both = [(row, places[id]) for row, id in enumerate(table.ids) if id in places]
    rows, found = np.array(both, int).reshape(-1, 2).T
    return rows, found


def _second(
    table: ScanTable, detection: Detection | None, rows: np.ndarray, places: np.ndarray, layers: Sequence[int]
) -> tuple[np.ndarray, str]:
    if table.mass is not None:
        # One layer at a time: the whole array has N x L x H x 3 numbers.
        mass = _mean(np.stack([_mean(table.mass[:, layer, :, IMAGE]) for layer in layers], axis=1))
        return mass[rows], "attention on the image [share]"
    scores = np.zeros(len(rows)) if detection is None else detection.scores[places]
    return scores, "score"


def _mean(array: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, ignoring NaN; NaN if all values are NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(array, axis=-1)


def scatter_figure(points: Points, decisions: Mapping[str, Decision] | None = None) -> go.Figure:
    """Draw M samples (with WebGL from 2,000 samples on). `customdata` = sample id; the lasso is active.

    Each kind of sample that occurs has one trace, with the uid "flagged" or "unflagged" (undecided), "flagged,
    accepted", "unflagged, rejected" and so on; samples with a decision are on top. The legend has one entry per
    decision, since shape and colour are independent. Skips samples without coordinates. `decisions`: by sample id.
    """
    known = np.isfinite(points.x) & np.isfinite(points.y)
    if not known.any():
        return empty_figure("scatter", "No sample is scored yet. Start a scan.", 340)
    words = {id: DECISIONS.get(decision.choice, UNDECIDED) for id, decision in (decisions or {}).items()}
    chosen = np.array([words.get(id, UNDECIDED) for id in points.ids])
    kind = go.Scattergl if len(points.ids) >= WEBGL_FROM else go.Scatter
    traces: list[go.Scatter | go.Scattergl] = []
    for (flagged, word), symbol in SYMBOLS.items():
        places = np.flatnonzero(known & (points.flagged == flagged) & (chosen == word))
        if len(places):
            trace = kind(_trace(points, places, flagged, word, symbol))
            trace.showlegend = trace.name not in {other.name for other in traces}
            traces.append(trace)
    figure = make_figure("scatter", traces, points.x_title, points.y_title, 340, dragmode="lasso", hovermode="closest")
    # A margin for the buttons, which would otherwise cover the legend.
    figure.update_layout(modebar_orientation="v", margin_r=36)
    figure.update_xaxes(fixedrange=False)
    figure.update_yaxes(fixedrange=False)
    if points.cutoff is not None:
        middle = (points.x[known].min() + points.x[known].max()) / 2
        mark_value(figure, points.cutoff, f"cut-off {points.cutoff:.3f}", leftwards=points.cutoff > middle)
    return figure


def _trace(points: Points, places: np.ndarray, flagged: bool, word: str, symbol: str) -> dict[str, Any]:
    decided = word != UNDECIDED
    kind = "flagged" if flagged else "unflagged"
    full = f"{kind}, {word}" if decided else kind
    dense = len(points.ids) >= WEBGL_FROM and not decided
    return {
        "name": word if decided else kind,
        "uid": full,
        "legendgroup": word if decided else kind,
        "mode": "markers",
        # Single precision: the page receives 4 bytes per number instead of 18 digits.
        "x": points.x[places].astype(np.float32).round(4),
        "y": points.y[places].astype(np.float32).round(4),
        "customdata": [points.ids[place] for place in places],
        "hovertemplate": f"<b>%{{customdata}}</b><br>x %{{x:.3f}}<br>y %{{y:.3f}}<br>{full}<extra></extra>",
        "marker": {
            "symbol": symbol,
            "color": SUSPICIOUS if flagged else KEPT,
            "size": 8 if decided or flagged else 6 - 2 * dense,
            "opacity": 0.5 if kind == "unflagged" and not decided else 0.85,  # samples with a decision stay visible
            "line": {"width": 1.5 if symbol.endswith("open") else 0},
        },
        "unselected": {"marker": {"opacity": 0.15}},
    }
