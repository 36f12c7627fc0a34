"""Builds the Explore tab: a map of all samples, filters, a table, saved views, and downloads."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bye_core.ui.session import Frame, Tab
from bye_core.ui.shared.bridge import CLICKS, SAVE, changed
from bye_core.ui.shared.events import QUIET, SESSION, Binder
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.tabs.explore import actions as page
from bye_core.ui.tabs.explore import downloads
from bye_core.ui.tabs.explore.actions import NONE_PICKED, Parts
from bye_core.ui.tabs.explore.filters import ALL, COLORS, SHOWS
from bye_core.ui.tabs.explore.places import PLACES
from bye_core.ui.tabs.explore.projection import SOURCES

NAME = "explore"
DRAW = {**QUIET, "concurrency_id": "explore", "concurrency_limit": 4, "trigger_mode": "always_last"}
WRITE = {**QUIET, "concurrency_id": "explore-files", "concurrency_limit": 2}
PLACE_INFO = "in the chosen layer, or else in the first sensitive layer; read once for each run"


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads the session. The map and the table write session.sample and session.selection."""
    notice = gr.HTML(elem_id="explore-notice", padding=False)
    with gr.Column(visible=False, elem_id="explore-view") as view:
        with gr.Row(elem_classes="bye-explore"):
            with gr.Column(scale=1, min_width=280, elem_id="explore-filters"):
                form, buttons, saving = _lay_out_form()
            with gr.Column(scale=3, min_width=320):
                plot = gr.Plot(show_label=False, container=False, elem_id="plot-map")
                shown = gr.HTML(elem_id="explore-shown", padding=False)
        rest = [*_lay_out_table(), *saving[:2], *_lay_out_downloads()]
    sent, picked, number = gr.State({}), gr.State(NONE_PICKED), gr.State(0)
    parts = Parts(frame.session, frame.tabs, sent, picked, number, notice, view, form, plot, shown, *rest)
    _listen(parts, frame, tab)
    _listen_to_buttons(parts, buttons, saving[2:])


TAB = Tab(NAME, "Explore", build, styles=("explore.css",))


def _choices(words: dict[str, str]) -> list[tuple[str, str]]:
    return [(text, name) for name, text in words.items()]


def _lay_out_form() -> tuple[list[Any], list[gr.Button], list[Any]]:
    """Return the fields in the order of filters.View, the reset button, and the components of saved views."""
    source = gr.Dropdown(_choices(SOURCES), value="entropy", label="Map of", elem_id="explore-source")
    color = gr.Dropdown(_choices(COLORS), value="flag", label="Color", elem_id="explore-color")
    show = gr.Dropdown(_choices(SHOWS), value="all", label="Show", elem_id="explore-show")
    text = gr.Textbox(label="Search", placeholder="id, question, answer", max_lines=1, elem_id="explore-text")
    with gr.Row():
        low_score = _number("Score from", "low-score", 0, 1)
        high_score = _number("Score to", "high-score", 0, 1)
    with gr.Row():
        layer = gr.Dropdown([("mean of all", ALL)], value=ALL, label="Layer", min_width=160, elem_id="explore-layer")
        head = gr.Dropdown([("mean of all", ALL)], value=ALL, label="Head", min_width=160, elem_id="explore-head")
    with gr.Row():
        low, high = _number("Entropy from", "low"), _number("Entropy to", "high")
    place = gr.Dropdown(
        [("anywhere", ""), *_choices(PLACES)], value="", label="Attention peaks", info=PLACE_INFO,
        elem_id="explore-place",
    )  # fmt: skip
    reset = gr.Button("Reset the filters", size="sm", elem_id="explore-reset")
    with gr.Accordion("Saved views", open=False, elem_id="explore-views"):
        saved = gr.Dropdown([], value=None, label="Saved views of this run", elem_id="explore-saved")
        delete = gr.Button("Delete this view", size="sm", elem_id="explore-delete")
        name = gr.Textbox(label="Name", max_lines=1, placeholder="for the view that you see", elem_id="explore-name")
        keep = gr.Button("Save this view", size="sm", elem_id="explore-keep")
    form = [source, color, show, text, low_score, high_score, layer, head, low, high, place]
    return form, [reset], [saved, name, delete, keep]


def _number(label: str, name: str, least: float | None = None, most: float | None = None) -> gr.Number:
    return gr.Number(
        None, label=label, minimum=least, maximum=most, step=0.1, min_width=110, elem_id=f"explore-{name}"
    )  # fmt: skip


def _lay_out_table() -> list[Any]:
    with gr.Row(elem_classes="bye-actions"):
        review = gr.Button("Open in Review", variant="primary", scale=0, min_width=280, elem_id="explore-review")
        clear = gr.Button("Clear the selection", visible=False, scale=0, min_width=200, elem_id="explore-clear")
    table = gr.HTML(elem_id="explore-table", padding=False, js_on_load=CLICKS)
    with gr.Row(elem_classes="bye-turn", visible=False) as pager:
        before = gr.Button("Previous", size="sm", scale=0, min_width=120, elem_id="explore-before")
        number = gr.HTML(elem_id="explore-number")
        after = gr.Button("Next", size="sm", scale=0, min_width=120, elem_id="explore-after")
    return [table, review, clear, pager, before, number, after]


def _lay_out_downloads() -> list[Any]:
    gr.HTML("<h3>Download</h3>", padding=False)
    heads = gr.Checkbox(
        True, label="With the numbers of every head", info="entropy, largest share and attention on the image",
        elem_id="explore-csv-heads",
    )  # fmt: skip
    with gr.Row(elem_classes="bye-actions"):
        csv = gr.Button("Flagged samples as CSV", scale=0, min_width=260, elem_id="explore-csv")
        report = gr.Button("Report as HTML", scale=0, min_width=180, elem_id="explore-report")
        save = gr.DownloadButton("Save", visible=False, scale=0, min_width=180, elem_id="explore-save")
    status = gr.HTML(elem_id="explore-status", padding=False)
    return [heads, csv, report, save, status]


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, form = parts.all(), parts.form
    drawing = [*parts.known, *form]
    bound = Binder(parts, lambda error, *_: page.show_failure(parts, error))
    entering = tab.select(bound(page.enter), drawing, outputs, **DRAW)
    entering_again = changed(frame.bridge, "session", NAME)(bound(page.enter), drawing, outputs, **DRAW)
    changes = [field.input for field in form]
    changing = on_latest(changes, bound(page.draw), drawing, outputs, **DRAW)
    # A drawing that began with the selection would show it again.
    parts.clear.click(
        bound(page.clear_selection), drawing, outputs, cancels=[entering, entering_again, changing], **QUIET
    )  # fmt: skip
    parts.saved.input(bound(page.open_view), [*parts.known, parts.saved], outputs, **DRAW)
    frame.bridge.click(bound(page.selected_on_map), [parts.session, *form], outputs, **SESSION)


def _listen_to_buttons(parts: Parts, resetting: list[gr.Button], views: list[gr.Button]) -> None:
    outputs, form = parts.all(), parts.form
    paging = [parts.session, parts.picked, parts.page, *form]
    bound = Binder(parts, lambda error, *_: page.show_failure(parts, error))
    reset, (delete, keep) = resetting[0], views
    reset.click(bound(page.reset), [*parts.known, *form], outputs, **DRAW)
    keep.click(bound(page.save_view), [parts.session, parts.name, *form], outputs, **QUIET)
    delete.click(bound(page.delete_view), [parts.session, parts.saved], outputs, **QUIET)
    parts.before.click(bound(page.previous_page), paging, outputs, **QUIET)
    parts.after.click(bound(page.next_page), paging, outputs, **QUIET)
    parts.table.click(bound(page.open_sample), parts.session, outputs, **SESSION)
    parts.review.click(bound(page.open_table), paging, outputs, **SESSION)
    for button, handler, inputs in (
        (parts.csv, downloads.download_csv, [parts.session, parts.csv_heads]),
        (parts.report, downloads.download_report, [parts.session]),
    ):
        written = button.click(bound(handler), inputs, outputs, **WRITE)
        written.then(None, parts.save, js=SAVE)
