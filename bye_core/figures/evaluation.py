"""Figures and tables of evaluations: clean performance (CP), CIDEr and attack success rate (ASR), with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from bye_core.figures.theme import ACCENT, NEUTRAL, make_figure
from bye_core.text import MEASURES, NOT_MEASURED, SHARES, change, measured

BEFORE, AFTER = "before cleaning", "after cleaning"


def outcome_figure(before: Mapping[str, Any], after: Mapping[str, Any]) -> go.Figure:
    """Draw CP and ASR in % before and after cleaning. A measure that is missing or None has no bar.

    before, after  facts of `pipeline.evaluate`: `cp` and `asr`, 0..1; `cp_interval`, `asr_interval` (drawn as whiskers)
    Traces: "before cleaning", "after cleaning".
    """
    return outcome_bars({BEFORE: before, AFTER: after}, {BEFORE: NEUTRAL, AFTER: ACCENT})


def outcome_bars(models: Mapping[str, Mapping[str, Any]], colors: Mapping[str, str]) -> go.Figure:
    """Draw CP and ASR in % of any number of models: one trace per model. `models`: facts by name; `colors`: by name."""
    ticks = [f"{label}<br>{sense}" for label, sense in SHARES.values()]
    figure = make_figure(
        "outcome",
        [_bars(name, facts, ticks, colors[name]) for name, facts in models.items()],
        "",
        "share of answers [%]",
        barmode="group",
        bargap=0.35,
        bargroupgap=0.08,
    )
    figure.update_yaxes(range=[0, 112], tickvals=[0, 25, 50, 75, 100])
    figure.update_xaxes(showgrid=False)
    return figure


def _bars(name: str, facts: Mapping[str, Any], ticks: list[str], color: str) -> go.Bar:
    shares = [facts.get(key) for key in SHARES]
    intervals = [facts.get(f"{key}_interval") or (share, share) for key, share in zip(SHARES, shares, strict=True)]
    known = [(share, *interval) for share, interval in zip(shares, intervals, strict=True) if share is not None]
    whiskers = [(round(100 * (high - share), 2), round(100 * (share - low), 2)) for share, low, high in known]
    above, below = zip(*whiskers, strict=True) if whiskers else ((), ())
    texts = [measured(facts, key) for key in SHARES]
    return go.Bar(
        name=name,
        uid=name,
        x=ticks,
        y=[None if share is None else round(100 * share, 2) for share in shares],
        error_y={"type": "data", "array": above, "arrayminus": below, "color": NEUTRAL, "thickness": 1.5, "width": 4},
        text=[NOT_MEASURED if share is None else f"{share:.1%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        customdata=texts,
        hovertemplate=f"{name}<br>%{{customdata}}<extra></extra>",
        marker={"color": color, "opacity": 0.7 if color == NEUTRAL else 1, "line_width": 0},
    )


def outcome_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return table rows of texts: measure, before, after, and change in percentage points.

    CIDEr has a row only if it was measured.
    """
    rows = []
    for key, (label, sense) in MEASURES.items():
        pair = before.get(key), after.get(key)
        if key not in SHARES and pair == (None, None):
            continue
        rows.append(
            {
                "measure": f"{label} ({sense})",
                "before": measured(before, key),
                "after": measured(after, key),
                "change": change(pair, key),
            }
        )
    return rows
