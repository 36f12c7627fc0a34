"""The handlers of the Explore tab: the map, the filters, the table, and saved views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from bye_core.errors import ByeError
from bye_core.ui.adjust import truth_file
from bye_core.ui.adjust.comparison import NotReady
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.session import Session
from bye_core.ui.shared import events
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.messages import note, warn
from bye_core.ui.shared.obstacles import not_ready, obstacle_html
from bye_core.ui.shared.plots import Sent, fresh
from bye_core.ui.tabs.explore import drawing, places, saved_views
from bye_core.ui.tabs.explore.filters import ALL, COLORS, View, entropies, fitting, passing, shape, view_of
from bye_core.ui.tabs.explore.projection import SOURCES, sources
from bye_core.ui.workspace import workspace_of

FIELDS = tuple(View.__dataclass_fields__)  # the fields of the form, in the order of the components
# The samples in the lasso: the run, and their ids.
Picked = tuple[str, tuple[str, ...]]
NONE_PICKED: Picked = ("", ())
RUN_SHOWN = "run"  # the entry of `sent` that names the run on the page


@dataclass(frozen=True)
class Parts(events.Parts):
    """The components of the tab.

    `form` holds the fields of View. `sent` holds the digest of the map on the page, and RUN_SHOWN.
    """

    tabs: gr.Tabs
    sent: gr.State
    picked: gr.State
    page: gr.State
    notice: gr.HTML
    view: gr.Column
    form: list[Any]
    map: gr.Plot
    shown: gr.HTML
    table: gr.HTML
    review: gr.Button
    clear: gr.Button
    pager: gr.Row
    before: gr.Button
    number: gr.HTML
    after: gr.Button
    saved: gr.Dropdown
    name: gr.Textbox
    csv_heads: gr.Checkbox
    csv: gr.Button
    report: gr.Button
    save: gr.DownloadButton
    status: gr.HTML

    @property
    def known(self) -> list[Any]:
        return [self.session, self.sent, self.picked, self.page]


def opened_run(session: Session) -> OpenRun:
    """Return the open run. Raises: NotReady if no run is open or no sample is scored; NoSuchRun if the run is gone."""
    if not session.run:
        raise NotReady(state="closed", what="No run is open.", advice="Open the demo, or scan your own data set.")
    opened = open_run(workspace_of(session.visitor).run_path(session.run))
    if not opened.table.ids:
        advice = "Start its scan, or resume it. The map shows every scanned sample."
        raise NotReady(state="unscored", what="No sample of this run is scanned yet.", advice=advice)
    return opened


def form_view(values: tuple[Any, ...]) -> View:
    """Return the view that the form describes."""
    return view_of(dict(zip(FIELDS, values, strict=True)))


def of_run(view: View, run: str, sent: Sent) -> View:
    """Return the view, without filters if the page shows another run."""
    same = sent.get(RUN_SHOWN, run) == run
    return view if same else View(source=view.source, color=view.color)


def show_failure(parts: Parts, error: ByeError) -> Update:
    """Say what is missing. For other errors, show a warning and change nothing."""
    if not isinstance(error, NotReady):
        warn(error)
        return parts.unchanged()
    return {
        parts.notice: gr.HTML(not_ready(error), visible=True),
        parts.view: gr.Column(visible=False),
        parts.sent: {},
    }


# --- drawing ----------------------------------------------------------------------------------------------------


def enter(parts: Parts, session: Session, sent: Sent, picked: Picked, page: int, *values: Any) -> Iterator[Update]:
    """Show the tab for the open run: its layers and heads, its saved views, the map and the table.

    Filters belong to one run: for another run, only the colours and what the map is made of stay.
    """
    opened = opened_run(session)
    view = fitting(of_run(form_view(values), session.run, sent), opened)
    if view.source not in sources(opened.table):
        view = replace(view, source=sources(opened.table)[0])
    choices = _choices(parts, session, opened, view)
    for update in _draw(parts, session, sent, picked, page, view):
        yield {**choices, **update}


def draw(parts: Parts, session: Session, sent: Sent, picked: Picked, page: int, *values: Any) -> Iterator[Update]:
    """Show the map and the table again, from the first page, after a change of the form."""
    yield from _draw(parts, session, sent, picked, 0, fitting(form_view(values), opened_run(session)))


def reset(parts: Parts, session: Session, sent: Sent, picked: Picked, page: int, *values: Any) -> Iterator[Update]:
    """Remove all filters and the selection. What the map is made of stays."""
    now = form_view(values)
    view = View(source=now.source, color=now.color)
    cleared = {parts.picked: NONE_PICKED, **_set_form(parts, view)}
    for update in _draw(parts, session, sent, NONE_PICKED, 0, view):
        yield {**cleared, **update}


def previous_page(parts: Parts, session: Session, picked: Picked, page: int, *values: Any) -> Update:
    return _turn(parts, session, picked, page - 1, *values)


def next_page(parts: Parts, session: Session, picked: Picked, page: int, *values: Any) -> Update:
    return _turn(parts, session, picked, page + 1, *values)


def _turn(parts: Parts, session: Session, picked: Picked, page: int, *values: Any) -> Update:
    opened, view = opened_run(session), form_view(values)
    return _table(parts, opened, view, passing(opened, view), _ids(session, picked), page)


def _draw(parts: Parts, session: Session, sent: Sent, picked: Picked, page: int, view: View) -> Iterator[Update]:
    opened = opened_run(session)
    if view.needs_places and places.known(opened) is None:
        total = len(opened.table.ids)
        for done in places.read(opened):
            words = f"Reading where the attention peaks: {done:,} of {total:,} samples."
            yield {parts.shown: note(words)}
    poisoned = truth_file.loaded(session)
    wanted = passing(opened, view)
    figure, words = drawing.sample_map(opened, view, wanted, None if poisoned is None else opened.mask(poisoned))
    plots, now = fresh({parts.map: figure}, sent)
    warning = obstacle_html(opened.detection, opened.path.name)
    undetected = note("No detection has run yet, so no sample has a score. Find suspicious samples in Layers.")
    yield {
        parts.notice: gr.HTML(warning or ("" if opened.detection else undetected), visible=True),
        parts.view: gr.Column(visible=True),
        parts.shown: note(words),
        parts.sent: {**now, RUN_SHOWN: session.run},
        **plots,
        **_table(parts, opened, view, wanted, _ids(session, picked), page),
    }


def _table(parts: Parts, opened: OpenRun, view: View, wanted: np.ndarray, picked: tuple[str, ...], page: int) -> Update:
    rows = drawing.listed_rows(opened, wanted, picked)
    last = drawing.pages(rows) - 1
    page = min(max(page, 0), last)
    return {
        parts.table: drawing.sample_table(opened, view, rows, page, len(picked)),
        parts.page: page,
        parts.review: gr.Button(f"Open these {len(rows):,} in Review", interactive=len(rows) > 0),
        parts.clear: gr.Button(visible=len(picked) > 0),
        parts.pager: gr.Row(visible=last > 0),
        parts.number: note(f"page {page + 1:,} of {last + 1:,}"),
        parts.before: gr.Button(interactive=page > 0),
        parts.after: gr.Button(interactive=page < last),
    }


def _ids(session: Session, picked: Picked) -> tuple[str, ...]:
    """Return the ids in the lasso, () if the lasso was drawn on another run."""
    return picked[1] if picked[0] == session.run else ()


# --- the form ---------------------------------------------------------------------------------------------------


def _choices(parts: Parts, session: Session, opened: OpenRun, view: View) -> Update:
    """Offer what this run has: statistics, layers, heads, a truth file, saved views."""
    layers, heads = shape(opened)
    have_truth = truth_file.loaded(session) is not None
    fields = dict(zip(FIELDS, parts.form, strict=True))
    update = _set_form(parts, view)
    extra: dict[str, list[tuple[str, Any]]] = {
        "source": [(SOURCES[name], name) for name in sources(opened.table)],
        "color": [(words, name) for name, words in COLORS.items() if name != "truth" or have_truth],
        "layer": [("mean of all", ALL), *((str(layer), layer) for layer in range(layers))],
        "head": [("mean of all", ALL), *((str(head), head) for head in range(heads))],
    }
    for name, choices in extra.items():
        update[fields[name]] = gr.Dropdown(choices=choices, value=getattr(view, name))
    known = entropies(opened, view)
    known = known[np.isfinite(known)]
    if len(known):
        for name, words in (("low", f"lowest: {known.min():.2f}"), ("high", f"highest: {known.max():.2f}")):
            update[fields[name]] = gr.Number(value=getattr(view, name), info=words)
    names = list(saved_views.load(workspace_of(session.visitor), session.run))
    return {**update, parts.saved: gr.Dropdown(choices=names, value=None)}


def _set_form(parts: Parts, view: View) -> Update:
    return {field: getattr(view, name) for name, field in zip(FIELDS, parts.form, strict=True)}


def save_view(parts: Parts, session: Session, name: str, *values: Any) -> Update:
    """Save the form under a name."""
    place = workspace_of(session.visitor)
    name = saved_views.save(place, session.run, name, form_view(values))
    gr.Info(f"The view “{name}” is saved for this run.", duration=4)
    return {parts.saved: gr.Dropdown(choices=list(saved_views.load(place, session.run)), value=name), parts.name: ""}


def open_view(
    parts: Parts, session: Session, sent: Sent, picked: Picked, page: int, name: str | None
) -> Iterator[Update]:
    """Set the form to a saved view, and draw it."""
    view = saved_views.load(workspace_of(session.visitor), session.run).get(name or "")
    if view is None:
        yield parts.unchanged()
        return
    view = fitting(view, opened_run(session))
    form = _set_form(parts, view)
    for update in _draw(parts, session, sent, picked, 0, view):
        yield {**form, **update}


def delete_view(parts: Parts, session: Session, name: str | None) -> Update:
    place = workspace_of(session.visitor)
    saved_views.delete(place, session.run, name or "")
    return {parts.saved: gr.Dropdown(choices=list(saved_views.load(place, session.run)), value=None)}


# --- selection --------------------------------------------------------------------------------------------------


def selected_on_map(parts: Parts, event: gr.EventData, session: Session, *values: Any) -> Update:
    """Handle a click or a lasso on the map. `values` are those of the form; those of the event come from a browser."""
    points = getattr(event, "points", None)
    if getattr(event, "plot", "") != parts.map.elem_id or not isinstance(points, list):
        return parts.unchanged()
    opened = opened_run(session)
    ids = tuple(dict.fromkeys(id for id in points if isinstance(id, str) and id in opened.row_of))
    if not ids:
        return parts.unchanged()
    if getattr(event, "how", "") == "click":
        return _open(parts, session, ids[:1])
    view = form_view(values)
    table = _table(parts, opened, view, passing(opened, view), ids, 0)
    return {parts.picked: (session.run, ids), **table}


def clear_selection(
    parts: Parts, session: Session, sent: Sent, picked: Picked, page: int, *values: Any
) -> Iterator[Update]:
    """Remove the selection. It draws the map too, because its event cancels a drawing with the selection."""
    for update in _draw(parts, session, sent, NONE_PICKED, 0, fitting(form_view(values), opened_run(session))):
        yield {parts.picked: NONE_PICKED, **update}


def open_sample(parts: Parts, session: Session, event: gr.EventData) -> Update:
    """Open the sample of a table row in Review."""
    id = str(getattr(event, "id", ""))
    return _open(parts, session, (id,)) if id in opened_run(session).row_of else parts.unchanged()


def open_table(parts: Parts, session: Session, picked: Picked, page: int, *values: Any) -> Update:
    """Open the samples of the table as Review's list."""
    opened, view = opened_run(session), form_view(values)
    rows = drawing.listed_rows(opened, passing(opened, view), _ids(session, picked))
    return _open(parts, session, tuple(opened.table.ids[row] for row in rows)) if len(rows) else parts.unchanged()


def _open(parts: Parts, session: Session, ids: tuple[str, ...]) -> Update:
    single = len(ids) == 1
    changed = replace(session, sample=ids[0] if single else "", selection=() if single else ids)
    return {parts.session: changed, parts.tabs: gr.Tabs(selected="review")}
