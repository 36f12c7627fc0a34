"""Export: what stays, what goes and why; the cleaned set as a folder, an archive, or a repository of the hub."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.bridge import in_front
from bye_core.ui.shared.exports import FIRST_LINES
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.tabs.export import actions as page
from bye_core.ui.tabs.export.parts import Parts, Update
from bye_core.ui.workspace import hosted

NAME = "export"
SAVE = """(file) => {
  if (!file || !file.url) return;
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.orig_name || '' });
  document.body.append(link);
  link.click();
  link.remove();
}"""
PRIVATE = "The token is what tells you from other visitors: whoever has it sees and changes your runs."
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
LONG = {**QUIET, "concurrency_limit": 4}


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session.run. Writes: session.revision (after rejections); exports go to the workspace."""
    notice = gr.HTML(note(page.FIRST), elem_id="export-notice")
    with gr.Column(visible=False, elem_id="export-view") as view:
        states = [gr.State(""), gr.State(""), gr.State(0), gr.Checkbox(False, visible=False)]
        parts = Parts(frame.session, *states, notice, view, *_lay_out())
    _listen(parts, frame, tab)


TAB = Tab(NAME, "Export", build, styles=("export.css",))


def _lay_out() -> list[Any]:
    summary = gr.HTML(elem_id="export-summary")
    with gr.Row(elem_classes="bye-actions"):
        reject = gr.Button("", visible=False, scale=0, min_width=220, elem_id="export-reject")
        undo = gr.Button("Undo", visible=False, scale=0, min_width=100, elem_id="export-undo")
    with gr.Accordion("What goes, and why", open=False, elem_id="export-goes") as goes:
        table = gr.HTML(elem_id="export-table")
        with gr.Row(elem_classes="bye-turn", visible=False) as pager:
            before = gr.Button("Previous", size="sm", scale=0, min_width=120, elem_id="export-before")
            place = gr.HTML(elem_id="export-place")
            after = gr.Button("Next", size="sm", scale=0, min_width=120, elem_id="export-after")
    with gr.Row(elem_classes="bye-form"):
        format = gr.Dropdown(["same"], value="same", label="Format", scale=2, elem_id="export-format")
        name = gr.Textbox(
            "",
            label="Name (an earlier export of this name is replaced)", max_lines=1, scale=2, elem_id="export-name",
        )  # fmt: skip
        export = gr.Button("Export", variant="primary", scale=1, min_width=140, elem_id="export-start")
    moved = gr.Textbox("", label="The data set is now at", visible=False, max_lines=1, elem_id="export-moved")
    command = gr.Code(
        language="shell", label="The same on the command line", lines=1, wrap_lines=True, interactive=False,
        show_line_numbers=False, elem_id="export-command",
    )  # fmt: skip
    status = gr.HTML(elem_id="export-status")
    with gr.Column(visible=False, elem_id="export-done") as done:
        with gr.Row(elem_classes="bye-actions"):
            download = gr.Button("Download .zip", scale=0, min_width=180, elem_id="export-zip")
            save = gr.DownloadButton("Save", visible=False, scale=0, min_width=180, elem_id="export-save")
            packing = gr.HTML(elem_id="export-packing")
        with gr.Accordion("manifest.json", open=False):
            manifest = gr.Code(language="json", show_label=False, interactive=False, max_lines=24)
        with gr.Accordion(f"removed.jsonl, first {FIRST_LINES} lines", open=False):
            removed = gr.Code(show_label=False, interactive=False, wrap_lines=True, elem_id="export-removed")
        pushing = _lay_out_push()
    with gr.Accordion("Do it from a program", open=False):
        gr.HTML(note(PRIVATE) if hosted() else "")
        program = gr.Code(language="python", show_label=False, interactive=False, elem_id="export-program")
    return [
        summary, reject, undo, goes, table, pager, before, place, after, name, format, moved, export, command, status,
        done, download, save, packing, manifest, removed, *pushing, program,
    ]  # fmt: skip


def _lay_out_push() -> list[Any]:
    with gr.Accordion("Push to the Hugging Face hub", open=False, elem_id="export-hub"):
        gr.HTML(
            note(
                "Uploads the whole export, with removed.jsonl and its reviewers' names and notes, as a data set "
                "repository. The token is used for this one upload and kept nowhere."
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


def _listen(parts: Parts, frame: Frame, tab: gr.Tab) -> None:
    session, outputs = frame.session, parts.all()

    def bound(function: Callable[..., Update]) -> Callable[..., Update]:
        """`function(parts, session, ...)` with its failures turned into words."""

        def handler(current: Session, *values: Any) -> Update:
            try:
                return function(parts, current, *values)
            except ByeError as error:
                return {parts.status: alert(error)}

        return handler

    fields = [parts.name, parts.format, parts.moved]
    tab.select(partial(page.enter, parts), [session, parts.shown, *fields], outputs, **LONG)
    session.change(
        partial(page.changed, parts),
        [session, parts.shown, *fields, parts.in_front],
        outputs,
        js=in_front(NAME),
        **LONG,
    )
    parts.reject.click(bound(page.reject), session, outputs, **QUIET)
    parts.undo.click(bound(page.undo), [session, parts.batch], outputs, **QUIET)
    parts.before.click(bound(partial(page.turn, by=-1)), [session, parts.moved, parts.page], outputs, **QUIET)
    parts.after.click(bound(partial(page.turn, by=1)), [session, parts.moved, parts.page], outputs, **QUIET)
    described = [parts.name.input, parts.format.input]
    gr.on(described, bound(page.describe), [session, *fields], outputs, trigger_mode="always_last", **QUIET)
    parts.moved.submit(partial(page.enter, parts), [session, parts.shown, *fields], outputs, **LONG)
    parts.export.click(partial(page.export, parts), [session, *fields], outputs, **LONG)
    packed = parts.download.click(partial(page.pack, parts), [session, parts.name], outputs, **LONG)
    packed.then(None, parts.save, js=SAVE)
    ready = "(repository, token) => ({ __type__: 'update', interactive: Boolean(repository.trim() && token.trim()) })"
    needed = [parts.repository, parts.token]
    gr.on([field.change for field in needed], None, needed, parts.push, js=ready)
    to_push = [session, parts.name, parts.repository, parts.token, parts.private]
    parts.push.click(partial(page.upload, parts), to_push, outputs, **LONG)
