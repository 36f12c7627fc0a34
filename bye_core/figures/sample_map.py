"""The map of all samples: one point a sample, coloured by groups, and a lasso that selects samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from bye_core.figures.scatter import WEBGL_FROM
from bye_core.figures.theme import KEPT, NEUTRAL, SUSPICIOUS, empty_figure, make_figure

# Okabe and Ito's colours, which every kind of colour vision can tell apart; the symbols repeat the groups. Each colour
# has a contrast of at least 3:1 on light and dark pages.
PALETTE = ("#2b83c6", "#d55e00", "#1a936f", "#b65f94", "#8b6f00", "#8b5cf6", "#0f8b8d")
SYMBOLS = ("circle", "triangle-up", "square", "diamond", "cross", "star", "hexagon")
OTHER_COLOR, OTHER_SYMBOL = NEUTRAL, "circle-open"
# Points of one map. A browser draws more, but each takes 30 bytes of the page, and they hide each other.
MOST_POINTS = 20_000
HEIGHT = 600  # pixels, about as high as the filters beside the map


class Group(NamedTuple):
    """The samples of one colour: `rows` of the map. A `kind` "flagged", "kept" or "other" has its own colour."""

    name: str
    rows: np.ndarray
    kind: str = ""


def drawn_rows(wanted: np.ndarray, first: np.ndarray, most: int = MOST_POINTS, seed: int = 0) -> np.ndarray:
    """Return the rows of at most `most` of the `wanted` [N] samples, in ascending order.

    Samples in `first` [N] have priority; the others are a random part. Groups keep their relative density that way.
    """
    rows = np.flatnonzero(wanted)
    if len(rows) <= most:
        return rows
    rng = np.random.default_rng(seed)
    ahead, rest = rows[first[rows]], rows[~first[rows]]
    # Flagged samples take at most half of the points, or the map would show only them.
    ahead = rng.permutation(ahead)[: max(most // 2, most - len(rest))]
    return np.sort(np.concatenate([ahead, rng.permutation(rest)[: most - len(ahead)]]))


def map_figure(
    xy: np.ndarray,
    ids: Sequence[str],
    groups: Sequence[Group],
    titles: tuple[str, str],
    behind: np.ndarray | None = None,
) -> go.Figure:
    """Draw samples at `xy` [N, 2], one trace a group. `customdata` = sample id; the lasso is active.

    `behind`: rows that are drawn in grey below the groups, without an id, because the filters leave them out.
    """
    if not any(len(group.rows) for group in groups):
        return empty_figure("map", "No sample passes the filters.<br>Reset them to see all samples.", HEIGHT)
    count = sum(len(group.rows) for group in groups)
    kind = go.Scattergl if count >= WEBGL_FROM else go.Scatter
    traces = [] if behind is None or not len(behind) else [kind(_behind(xy, behind))]
    plain = [group for group in groups if not group.kind]
    for group in groups:
        number = plain.index(group) if group in plain else 0
        # plotly.js makes a CSS selector of it, so it cannot hold the text of an answer.
        uid = group.name if group.kind else f"group-{number}"
        traces.append(kind({**_trace(xy, ids, group, *_look(group, number), count), "uid": uid}))
    figure = make_figure("map", traces, *titles, HEIGHT, dragmode="lasso", hovermode="closest")
    figure.update_layout(modebar_orientation="v", margin_r=36)
    figure.update_xaxes(fixedrange=False, zeroline=False)
    figure.update_yaxes(fixedrange=False, zeroline=False)
    return figure


def _look(group: Group, number: int) -> tuple[str, str]:
    fixed = {"flagged": (SUSPICIOUS, "triangle-up"), "kept": (KEPT, "circle"), "other": (OTHER_COLOR, OTHER_SYMBOL)}
    return fixed.get(group.kind) or (PALETTE[number % len(PALETTE)], SYMBOLS[number % len(SYMBOLS)])


def _places(xy: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {axis: xy[rows, n].astype(np.float32).round(3) for n, axis in enumerate(("x", "y"))}


def _behind(xy: np.ndarray, rows: np.ndarray) -> dict[str, object]:
    look = {"color": NEUTRAL, "size": 4, "opacity": 0.25}
    name = "left out by the filters"
    return {"name": name, "uid": name, "mode": "markers", "hoverinfo": "skip", "marker": look, **_places(xy, rows)}


def _trace(xy: np.ndarray, ids: Sequence[str], group: Group, color: str, symbol: str, count: int) -> dict[str, object]:
    return {
        "name": f"{group.name} ({len(group.rows):,})",
        "mode": "markers",
        **_places(xy, group.rows),
        "customdata": [ids[row] for row in group.rows],
        "hovertemplate": f"<b>%{{customdata}}</b><br>{group.name}<extra></extra>",
        "marker": {
            "symbol": symbol,
            "color": color,
            "size": 5 if count >= WEBGL_FROM else 7,
            "opacity": 0.6 if group.kind in ("kept", "other") else 0.85,
        },
        "unselected": {"marker": {"opacity": 0.15}},
    }
