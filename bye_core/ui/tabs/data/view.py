"""Builds the Data tab: choose a data set, see its samples and its faults."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bye_core.ui.session import Frame, Tab, Watcher
from bye_core.ui.shared.bridge import in_front
from bye_core.ui.shared.events import QUIET, Binder, Handler, alert_in, if_in_front, open_tab
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.shared.messages import note
from bye_core.ui.shared.page_value import page_value
from bye_core.ui.shared.stop_button import on_stop
from bye_core.ui.tabs.data import actions, checking
from bye_core.ui.tabs.data.actions import for_visitors
from bye_core.ui.tabs.data.columns import AUTOMATIC, FORMAT_CHOICES, SLOTS
from bye_core.ui.workspace import hosted

NAME = "data"
CLICKS = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-open], [data-remove]');
  if (button) trigger('click', { open: button.dataset.open || '', remove: button.dataset.remove || '' });
});"""


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads and writes session.data, and writes in the workspace how the set is read."""
    parts, check = _lay_out(frame)
    _listen(parts, frame, tab)
    _listen_check(check, frame, tab)


TAB = Tab(NAME, "Data", build, styles=("data.css",))


def _lay_out(frame: Frame) -> tuple[actions.Parts, checking.Parts]:
    shown, pending, number = gr.State(""), gr.State(""), gr.State(0)
    hint, notice = gr.HTML(note(actions.FIRST), elem_id="data-hint"), gr.HTML(elem_id="data-notice")
    path, load, listing, upload = _lay_out_sets()
    reading, file, format, columns, question, strict_ids, again = _lay_out_reading()
    with gr.Column(visible=False) as view:
        with gr.Row(elem_classes="bye-set-row"):
            with gr.Column(scale=3, min_width=300):
                summary = gr.HTML(elem_id="data-summary")
                progress = _lay_out_progress()
            with gr.Column(scale=2, min_width=300):
                check_parts = _lay_out_check(frame, progress)
                tune, scan = _lay_out_single_steps()
        with gr.Accordion("Faults", open=False, elem_id="data-faults") as fault_box:
            with gr.Row():
                check = gr.Button("Check every image", size="sm", elem_id="data-check", scale=0, min_width=200)
                stop = gr.Button("Stop", size="sm", visible=False, elem_id="data-check-stop", scale=0)
            faults = gr.HTML()
        samples = gr.HTML(elem_id="data-cards")
        with gr.Row(elem_classes="bye-pager"):
            before = gr.Button("Previous", size="sm", scale=0, elem_id="data-before")
            page_number = gr.HTML(elem_id="data-place")
            after = gr.Button("Next", size="sm", scale=0, elem_id="data-after")
    parts = actions.Parts(
        frame.session, shown, pending, number, hint, notice, path, load, upload, listing, view, summary, tune, scan,
        reading, file, format, question, strict_ids, columns, again, samples, before, page_number, after, fault_box,
        faults, check, stop,
    )  # fmt: skip
    return parts, check_parts


def _lay_out_sets() -> tuple[Any, ...]:
    """Return the field for a path, its button, the list of sets, and the field for an upload."""
    with gr.Row(elem_classes="bye-choose"):
        with gr.Column(scale=3, min_width=300):
            with gr.Row(elem_classes="bye-field"):
                path = gr.Textbox(
                    label="Name on the Hugging Face hub" if hosted() else "Folder, annotation file, or name on the hub",
                    placeholder="owner/name" if hosted() else "/path/to/data, or owner/name",
                    max_lines=1,
                    min_width=260,
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
    return path, load, listing, upload


def _lay_out_reading() -> tuple[Any, ...]:
    """Return the panel with the settings for reading a set; file, format, columns, question, ids; and its button."""
    with gr.Accordion("How to read this set", open=False, visible=False, elem_id="data-reading") as reading:
        with gr.Row():
            file = gr.Dropdown([], label="Annotation file or split", visible=False, interactive=True)
            format = gr.Dropdown(FORMAT_CHOICES, value=AUTOMATIC, label="Format", elem_id="data-format")
            columns = tuple(gr.Dropdown([], label="Column", visible=False, interactive=True) for _ in range(SLOTS))
        question = gr.Textbox(
            label="Question for records without one", info="such as captions: every one of them gets this question",
            placeholder="Describe the image.", max_lines=1, visible=False, interactive=True, elem_id="data-question",
        )  # fmt: skip
        strict_ids = gr.Checkbox(
            False, label="Refuse records that repeat an id", visible=False, interactive=True, elem_id="data-strict",
            info="otherwise they are read, with a number behind the id",
        )  # fmt: skip
        again = gr.Button("Read with these settings", size="sm", elem_id="data-again")
    return reading, file, format, columns, question, strict_ids, again


def _lay_out_single_steps() -> tuple[Any, Any]:
    """Return the buttons that open one step of the check: Fine-tune and Scan."""
    with gr.Row(elem_classes="bye-actions"):
        tune = gr.Button(
            "Fine-tune only",
            size="sm",
            elem_id="data-finetune",
            min_width=130,
            scale=0,
            visible=not hosted(),
        )
        scan = gr.Button(
            "Scan this data set" if hosted() else "Scan only",
            size="md" if hosted() else "sm",
            variant="primary" if hosted() else "secondary",
            elem_id="data-scan",
            min_width=130,
            scale=0,
        )
    return tune, scan


def _lay_out_progress() -> tuple[Any, ...]:
    """Return the card of the check and its buttons: Stop, Resume, Review."""
    job = gr.HTML(elem_id="data-checking")
    with gr.Row(elem_classes="bye-actions"):
        stop = gr.Button("Stop", variant="stop", visible=False, scale=0, min_width=120, elem_id="data-checking-stop")
        resume = gr.Button("Resume", visible=False, scale=0, min_width=120, elem_id="data-checking-resume")
        review = gr.Button("Review the result", variant="primary", visible=False, scale=0, min_width=180,
                           elem_id="data-checking-review")  # fmt: skip
    return job, stop, resume, review


def _lay_out_check(frame: Frame, progress: tuple[Any, ...]) -> checking.Parts:
    """Lay out the check of the whole set as one job, which a public host does not offer."""
    here = not hosted()
    model = gr.Dropdown(
        [], label="Model to fine-tune", info="a folder, or owner/name on the hub", allow_custom_value=True,
        interactive=True, visible=here, elem_id="data-model",
    )  # fmt: skip
    about = gr.HTML(elem_id="data-about", visible=here)
    start = gr.Button("Check my set", variant="primary", visible=here, elem_id="data-check-set")
    return checking.Parts(
        frame.session, page_value(checking.Watch()), frame.pulse, frame.tabs, model, about, start, *progress
    )  # fmt: skip


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    outputs, session = parts.all(), parts.session
    bind_any = Binder(parts, alert_in(parts.notice))

    def bind(handler: Handler) -> Handler:
        return bind_any(for_visitors(handler))

    # A set is read only if the tab is in front.
    here = gr.Checkbox(False, visible=False)
    tab.select(bind(actions.change_session), [session, parts.shown], outputs, **QUIET)
    frame.opened.change(
        bind_any(if_in_front(for_visitors(actions.change_session))), [session, parts.shown, here], outputs,
        js=in_front(NAME), trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    waiting = {"api_visibility": "private", "show_progress_on": [parts.listing]}
    for event in (parts.load.click, parts.path.submit):
        event(bind(actions.load), [session, parts.path], outputs, **waiting)
    parts.listing.click(bind(actions.use_list), session, outputs, **QUIET)
    parts.upload.upload(bind_any(actions.upload), [session, parts.upload], outputs, **waiting)
    reading = [session, parts.pending, parts.file, parts.format]
    more = [parts.question, parts.strict_ids, *parts.columns]
    parts.again.click(bind(actions.read_again), [*reading, *more], outputs, **waiting)
    parts.format.input(bind(actions.choose_format), reading, outputs, **QUIET)
    parts.before.click(bind(actions.previous_page), [session, parts.page], outputs, **QUIET)
    parts.after.click(bind(actions.next_page), [session, parts.page], outputs, **QUIET)
    checking = parts.check.click(bind_any(actions.check), session, outputs, concurrency_limit=2, **QUIET)
    parts.stop.click(bind(actions.show_checked), session, outputs, cancels=[checking], **QUIET)
    parts.scan.click(open_tab("scan"), None, frame.tabs, **QUIET)
    parts.tune.click(open_tab("finetune"), None, frame.tabs, **QUIET)


def _listen_check(parts: checking.Parts, frame: Frame, tab: gr.Tab) -> None:
    if hosted():
        return
    outputs, known, here = parts.all(), [parts.session, parts.watch], gr.Checkbox(False, visible=False)
    bind = Binder(parts, alert_in(parts.job))
    visible = {"js": in_front(NAME), "trigger_mode": "always_last", **QUIET}
    tab.select(bind(checking.enter), known, outputs, **QUIET)
    frame.opened.change(bind(if_in_front(checking.enter)), [*known, here], outputs, **visible)
    frame.watchers.append(Watcher(bind(if_in_front(checking.tick)), [*known, here], outputs, NAME))
    on_latest([parts.model.change], bind(checking.describe), [parts.session, parts.model], [parts.about], **QUIET)
    parts.start.click(bind(checking.start), [*known, parts.model], outputs, **QUIET)
    on_stop(parts.stop, bind(checking.stop), bind(checking.stopped), known, outputs)
    parts.resume.click(bind(checking.resume), known, outputs, **QUIET)
    parts.review.click(bind(checking.review, reads=True), known, outputs, **QUIET)
