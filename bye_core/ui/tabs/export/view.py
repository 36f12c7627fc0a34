"""Builds the Export tab: the cleaned set as a folder, an archive, or a repository on the hub."""

from __future__ import annotations

from typing import Any

import gradio as gr

from bye_core.ui.session import Frame, Tab
from bye_core.ui.shared.bridge import changed
from bye_core.ui.shared.events import QUIET, Binder, alert_in
from bye_core.ui.shared.exports import FIRST_LINES
from bye_core.ui.shared.latest import on_latest
from bye_core.ui.shared.messages import note
from bye_core.ui.tabs.export import actions, publish
from bye_core.ui.workspace import hosted

NAME = "export"
SAVE = """(file) => {
  if (!file || !file.url) return;
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.orig_name || '' });
  document.body.append(link);
  link.click();
  link.remove();
}"""
CAN_PUSH = """(repository, token) =>
  ({ __type__: 'update', interactive: Boolean(repository.trim() && token.trim()) })"""
PRIVATE = "Keep the token secret. Anybody who has it can see and change your runs."
LONG = {**QUIET, "concurrency_limit": 4}


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads session.run, and writes session.revision after rejections."""
    notice = gr.HTML(note(actions.NO_RUN), elem_id="export-notice")
    with gr.Column(visible=False, elem_id="export-view") as view:
        shown, batch, page = gr.State(""), gr.State(""), gr.State(0)
        parts = actions.Parts(frame.session, shown, batch, page, notice, view, *_lay_out())
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Export", build, styles=("export.css",))


def _lay_out() -> list[Any]:
    summary = gr.HTML(elem_id="export-summary")
    with gr.Row(elem_classes="bye-actions"):
        reject = gr.Button("", visible=False, scale=0, min_width=220, elem_id="export-reject")
        undo = gr.Button("Undo", visible=False, scale=0, min_width=100, elem_id="export-undo")
    with gr.Accordion("Removed records", open=False, elem_id="export-goes") as removed_box:
        table = gr.HTML(elem_id="export-table")
        with gr.Row(elem_classes="bye-turn", visible=False) as pager:
            before = gr.Button("Previous", size="sm", scale=0, min_width=120, elem_id="export-before")
            page_number = gr.HTML(elem_id="export-place")
            after = gr.Button("Next", size="sm", scale=0, min_width=120, elem_id="export-after")
    with gr.Row(elem_classes="bye-form"):
        format = gr.Dropdown(["same"], value="same", label="Format", scale=2, min_width=240, elem_id="export-format")
        name = gr.Textbox(
            "",
            label="Name (replaces an earlier export of this name)", max_lines=1, scale=2, min_width=240,
            elem_id="export-name",
        )  # fmt: skip
        export = gr.Button("Export", variant="primary", scale=1, min_width=140, elem_id="export-start")
    moved = gr.Textbox("", label="New path of the data set", visible=False, max_lines=1, elem_id="export-moved")
    command = gr.Code(
        language="shell", label="Command", lines=1, wrap_lines=True, interactive=False,
        show_line_numbers=False, buttons=["copy"], elem_id="export-command",
    )  # fmt: skip
    status = gr.HTML(elem_id="export-status")
    with gr.Column(visible=False, elem_id="export-done") as done:
        with gr.Row(elem_classes="bye-actions"):
            download = gr.Button("Download .zip", scale=0, min_width=180, elem_id="export-zip")
            save = gr.DownloadButton("Save", visible=False, scale=0, min_width=180, elem_id="export-save")
            packing = gr.HTML(elem_id="export-packing")
        with gr.Accordion("manifest.json", open=False):
            manifest = gr.Code(language="json", show_label=False, interactive=False, max_lines=24)
        with gr.Accordion(f"First {FIRST_LINES} lines of removed.jsonl", open=False):
            removed = gr.Code(show_label=False, interactive=False, wrap_lines=True, elem_id="export-removed")
        pushing = _lay_out_push()
    with gr.Accordion("Export from a program", open=False):
        gr.HTML(note(PRIVATE) if hosted() else "")
        program = gr.Code(language="python", show_label=False, interactive=False, elem_id="export-program")
    return [
        summary, reject, undo, removed_box, table, pager, before, page_number, after, name, format, moved, export,
        command, status, done, download, save, packing, manifest, removed, *pushing, program,
    ]  # fmt: skip


def _lay_out_push() -> list[Any]:
    with gr.Accordion("Push to the Hugging Face hub", open=False, elem_id="export-hub"):
        gr.HTML(
            note(
                "Uploads the whole export as a data set repository. It includes removed.jsonl, with the names and "
                "notes of the reviewers. The token is used for this upload only and is not stored."
            )
        )
        with gr.Row(elem_classes="bye-form"):
            repository = gr.Textbox(
                "", label="Repository", placeholder="your-name/my-cleaned-set", max_lines=1, elem_id="export-repository"
            )
            token = gr.Textbox(
                "",
                label="Your access token",
                type="password",
                placeholder="hf_...",
                max_lines=1,
                elem_id="export-token",
            )
            private = gr.Checkbox(True, label="Private", elem_id="export-private")
            push = gr.Button("Push", interactive=False, min_width=120, scale=0, elem_id="export-push")
        pushed = gr.HTML(elem_id="export-pushed")
    return [repository, token, private, push, pushed]


def _listen(parts: actions.Parts, frame: Frame, tab: gr.Tab) -> None:
    session, outputs = parts.session, parts.all()
    fields = [parts.name, parts.format, parts.moved]
    entering = [session, parts.shown, *fields]
    bind = Binder(parts, alert_in(parts.status))

    tab.select(bind(actions.enter), entering, outputs, **LONG)
    changed(frame.bridge, "session", NAME)(bind(actions.change_session), entering, outputs, **LONG)
    parts.reject.click(bind(actions.reject), session, outputs, **QUIET)
    parts.undo.click(bind(actions.undo), [session, parts.batch], outputs, **QUIET)
    paging = [session, parts.moved, parts.page]
    parts.before.click(bind(actions.previous_page), paging, outputs, **QUIET)
    parts.after.click(bind(actions.next_page), paging, outputs, **QUIET)
    described = [parts.name.input, parts.format.input]
    on_latest(described, bind(actions.describe), [session, *fields], outputs, **QUIET)
    parts.moved.submit(bind(actions.enter), entering, outputs, **LONG)
    parts.export.click(bind(actions.export), [session, *fields], outputs, **LONG)
    packed = parts.download.click(bind(publish.pack), [session, parts.name], outputs, **LONG)
    packed.then(None, parts.save, js=SAVE)
    needed = [parts.repository, parts.token]
    gr.on([field.change for field in needed], None, needed, parts.push, js=CAN_PUSH)
    pushing = [session, parts.name, parts.repository, parts.token, parts.private]
    parts.push.click(bind(publish.upload), pushing, outputs, **LONG)
