"""Data: choose a data set, see how it was read, what is in it, and what is wrong with it."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.tabs.data import actions as page
from bye_core.ui.tabs.data.columns import SLOTS
from bye_core.ui.workspace import hosted

CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-open], [data-remove]');
  if (button) trigger('click', { open: button.dataset.open || '', remove: button.dataset.remove || '' });
});"""
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.data. Writes: session.data, and how the set is read, in the workspace."""
    parts = _lay_out(frame.session)
    _listen(parts, frame)


TAB = Tab("data", "Data", build, styles=("data.css",))


def _lay_out(session: gr.State) -> page.Parts:
    shown, trying, number = gr.State(""), gr.State(""), gr.State(0)
    notice = gr.HTML(note(page.FIRST), elem_id="data-notice")
    with gr.Row(elem_classes="bye-choose"):
        with gr.Column(scale=3, min_width=300):
            with gr.Row(elem_classes="bye-field"):
                path = gr.Textbox(
                    label="Name on the Hugging Face hub" if hosted() else "Folder, annotation file, or name on the hub",
                    placeholder="owner/name" if hosted() else "/path/to/data, or owner/name",
                    max_lines=1,
                    elem_id="data-path",
                )
                load = gr.Button("Load", variant="primary", elem_id="data-load", scale=0, min_width=110)
            listing = gr.HTML("", js_on_load=CLICKS, elem_id="data-sets")
        with gr.Column(scale=2, min_width=300):
            upload = gr.File(
                label="Or upload a .zip, .tar.gz or .parquet",
                file_types=[".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".parquet"],
                height=150,
                elem_id="data-upload",
            )
    with gr.Accordion("How it is read", open=False, visible=False, elem_id="data-reading") as reading:
        with gr.Row():
            file = gr.Dropdown([], label="Annotation file", visible=False, interactive=True)
            format = gr.Dropdown(page.READINGS, value=page.AS_FOUND, label="Format", elem_id="data-format")
            columns = tuple(gr.Dropdown([], label="column", visible=False, interactive=True) for _ in range(SLOTS))
        again = gr.Button("Read it this way", size="sm", elem_id="data-again")
    with gr.Column(visible=False) as view:
        with gr.Row(elem_classes="bye-set-row"):
            summary = gr.HTML(elem_id="data-summary")
            scan = gr.Button("Scan this data set", variant="primary", elem_id="data-scan", min_width=230, scale=0)
        with gr.Accordion("Faults", open=False, elem_id="data-faults") as fault_box:
            with gr.Row():
                check = gr.Button("Look into every picture", size="sm", elem_id="data-check", scale=0, min_width=200)
                stop = gr.Button("Stop", size="sm", visible=False, elem_id="data-check-stop", scale=0)
            faults = gr.HTML()
        samples = gr.HTML(elem_id="data-cards")
        with gr.Row(elem_classes="bye-pager"):
            before = gr.Button("Previous", size="sm", scale=0, elem_id="data-before")
            place = gr.HTML(elem_id="data-place")
            after = gr.Button("Next", size="sm", scale=0, elem_id="data-after")
    return page.Parts(
        session, shown, trying, number, notice, path, load, upload, listing, view, summary, scan, reading, file, format,
        columns, again, samples, before, place, after, fault_box, faults, check, stop,
    )  # fmt: skip


def _listen(parts: page.Parts, frame: Frame) -> None:
    outputs, session = parts.all(), frame.session

    def bound(function: Any) -> Any:
        """`function(parts, session, ...)` with its failures turned into words."""

        def handler(current: Session, *values: Any) -> page.Update:
            if not current.visitor:
                return {parts.notice: note(page.OPENING)}
            try:
                return function(parts, current, *values)
            except ByeError as error:
                return {parts.notice: alert(error)}

        return handler

    def listed(current: Session, event: gr.EventData) -> page.Update:
        return bound(page.listed)(current, event.open, event.remove)

    frame.opened.change(bound(page.restore), [session, parts.shown], outputs, **QUIET)
    told = {"api_visibility": "private", "show_progress_on": [parts.listing]}
    for event in (parts.load.click, parts.path.submit):
        event(bound(page.load), [session, parts.path], outputs, **told)
    parts.listing.click(listed, session, outputs, **QUIET)
    parts.upload.upload(partial(page.upload, parts), [session, parts.upload], outputs, **told)
    reading = [parts.file, parts.format, *parts.columns]
    parts.again.click(bound(page.read_again), [session, parts.trying, *reading], outputs, **told)
    parts.format.input(bound(page.other_format), [session, parts.trying, parts.file, parts.format], outputs, **QUIET)
    parts.before.click(bound(lambda p, s, n: page.turn(p, s, n - 1)), [session, parts.page], outputs, **QUIET)
    parts.after.click(bound(lambda p, s, n: page.turn(p, s, n + 1)), [session, parts.page], outputs, **QUIET)
    checking = parts.check.click(partial(page.check, parts), session, outputs, concurrency_limit=2, **QUIET)
    parts.stop.click(bound(page.rest), session, outputs, cancels=[checking], **QUIET)
    parts.scan.click(lambda: gr.Tabs(selected="scan"), None, frame.tabs, **QUIET)
