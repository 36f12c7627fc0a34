"""Draws the map of samples, and the table of the samples that pass the filters. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bye_core.figures import Group, drawn_rows, map_figure
from bye_core.question_kinds import question_labels
from bye_core.records import UNITS_OF_VALUES
from bye_core.text import clip, count
from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared import sample_queue
from bye_core.ui.shared.glossary import tooltip
from bye_core.ui.tabs.explore import places
from bye_core.ui.tabs.explore.filters import ALL, View, entropies, peak_layer
from bye_core.ui.tabs.explore.projection import SOURCES, Projection, features, project

GROUPS = 7  # colours; smaller groups share one
PAGE = 25  # rows of the table
NAME, ID, TEXT = 40, 40, 90  # characters
DECISIONS = {sample_queue.UNDECIDED: "undecided", sample_queue.ACCEPTED: "accepted", sample_queue.REJECTED: "rejected"}


def projection(opened: OpenRun, source: str) -> Projection:
    """Return the place of every sample on the map. It is computed once for each scan."""
    return opened.results.get(("map", source), lambda: project(features(opened.table, source)))


def sample_map(opened: OpenRun, view: View, wanted: np.ndarray, truth: np.ndarray | None) -> tuple[go.Figure, str]:
    """Return the map of the `wanted` [N] samples, and a sentence that says what it shows."""
    xy, shares = projection(opened, view.source)
    placed = np.isfinite(xy).all(axis=1)
    rows = drawn_rows(wanted & placed, opened.columns.flagged)
    behind = drawn_rows(~wanted & placed, np.zeros(len(wanted), bool), most=max(0, 5_000 - len(rows)))
    drawn = np.zeros(len(wanted), bool)
    drawn[rows] = True
    groups = [Group(g.name, g.rows[drawn[g.rows]], g.kind) for g in groups_of(opened, view.color, truth)]
    axis = "component {n} of the {what} ({share:.0%} of the variance)"
    titles = [axis.format(n=n, what=SOURCES[view.source], share=share) for n, share in enumerate(shares, 1)]
    figure = map_figure(xy, opened.table.ids, [g for g in groups if len(g.rows)], (titles[0], titles[1]), behind)
    return figure, _shown(int((wanted & placed).sum()), int(wanted.sum()), len(rows), len(wanted))


def _shown(placed: int, passing: int, drawn: int, total: int) -> str:
    words = f"{passing:,} of {count(total, 'sample')} pass the filters."
    if placed < passing:
        words += f" {passing - placed:,} have no statistics of this kind and are missing on the map."
    if drawn < placed:
        words += f" The map shows {drawn:,} of them: flagged samples first, then a random part of the others."
    return words


def groups_of(opened: OpenRun, color: str, truth: np.ndarray | None) -> list[Group]:
    """Return the groups of all samples that get one colour each."""
    columns = opened.columns
    if color == "answer":
        return _largest(columns.answers)
    if color == "kind":
        labels = opened.results.get(("question labels",), lambda: question_labels(columns.questions))
        return _largest(labels)
    if color == "decision":
        chosen = opened.choices()
        kinds = {sample_queue.REJECTED: "flagged", sample_queue.ACCEPTED: "kept", sample_queue.UNDECIDED: "other"}
        return [Group(DECISIONS[one], np.flatnonzero(chosen == one), kind) for one, kind in kinds.items()]
    if color == "truth" and truth is not None:
        return [Group("clean", np.flatnonzero(~truth), "kept"), Group("poisoned", np.flatnonzero(truth), "flagged")]
    ordinary = ~columns.flagged & ~columns.suspects
    return [
        Group("not flagged", np.flatnonzero(ordinary), "kept"),
        Group("worth a look", np.flatnonzero(columns.suspects)),
        Group("flagged", np.flatnonzero(columns.flagged), "flagged"),
    ]


def _largest(texts: Sequence[str]) -> list[Group]:
    """Return a group for each of the most frequent texts, and one for all others, which is drawn first."""
    distinct, numbers = np.unique(np.array([clip(" ".join(text.split()), NAME) for text in texts]), return_inverse=True)
    counts = np.bincount(numbers, minlength=len(distinct))
    order = np.argsort(-counts, kind="stable")
    groups = [Group(escape(str(distinct[one])) or "(empty)", np.flatnonzero(numbers == one)) for one in order[:GROUPS]]
    rest = np.flatnonzero(~np.isin(numbers, order[:GROUPS]))
    return [Group("others", rest, "other"), *groups] if len(rest) else groups


def listed_rows(opened: OpenRun, wanted: np.ndarray, picked: Sequence[str]) -> np.ndarray:
    """Return the rows of the table, most suspicious first: the `wanted` [N] samples, of these the picked if any are."""
    if picked:
        chosen = np.zeros(len(wanted), bool)
        chosen[[opened.row_of[id] for id in picked if id in opened.row_of]] = True
        wanted = wanted & chosen
    order = opened.columns.suspicious_order
    return order[wanted[order]]


def pages(rows: np.ndarray) -> int:
    """Return the number of pages of the table, at least 1."""
    return max(1, -(-len(rows) // PAGE))


def sample_table(opened: OpenRun, view: View, rows: np.ndarray, page: int, picked: int) -> str:
    """Return the HTML of one page of the table; pages count from 0. `picked` is the size of the lasso, 0 for none."""
    if not len(rows):
        return "<p class='bye-note'>No sample to list. Reset the filters, or clear the selection.</p>"
    part = rows[page * PAGE : (page + 1) * PAGE]
    layer = "mean of all layers" if view.layer == ALL else f"layer {view.layer}"
    head = "" if view.head == ALL else f", head {view.head}"
    unit = UNITS_OF_VALUES[opened.evidence.unit]
    titles = ["sample", tooltip("score"), f"{tooltip('entropy')}, {layer}{head} [{unit}]", "decision"]
    titles += ["question", "answer", *(["attention peaks"] if places.known(opened) is not None else [])]
    cells = "".join(f"<th scope='col'>{title}</th>" for title in titles)
    body = "".join(map(_Line(opened, view).html, part.tolist()))
    what = "selected sample" if picked else "sample"
    return (
        f"<h3>{count(len(rows), what)}</h3>"
        "<div class='bye-scroll' tabindex='0' role='region' aria-label='samples that pass the filters'>"
        f"<table class='bye-table bye-samples'><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


class _Line:
    """Builds the rows of the table."""

    def __init__(self, opened: OpenRun, view: View) -> None:
        self._columns, self._entropies, self._chosen = opened.columns, entropies(opened, view), opened.choices()
        peaks = places.known(opened)
        self._places: Any = None if peaks is None else places.names(peaks[:, peak_layer(opened, view)])

    def html(self, row: int) -> str:
        columns = self._columns
        id = columns.ids[row]
        mark = " <span class='bye-poisoned bye-mark'>flagged</span>" if columns.flagged[row] else ""
        place = ""
        if self._places is not None:
            place = f"<td>{places.PLACES.get(self._places[row], 'unknown')}</td>"
        return (
            f"<tr><td><button type='button' data-do='sample' data-id='{escape(id, quote=True)}'>"
            f"<bdi>{escape(clip(id, ID))}</bdi></button>{mark}</td>"
            f"<td class='bye-number'>{_figures(columns.scores[row])}</td>"
            f"<td class='bye-number'>{_figures(self._entropies[row])}</td>"
            f"<td>{DECISIONS[int(self._chosen[row])]}</td>"
            f"<td dir='auto'>{escape(clip(columns.questions[row], TEXT))}</td>"
            f"<td dir='auto'>{escape(clip(columns.answers[row], TEXT))}</td>{place}</tr>"
        )


def _figures(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "none"
