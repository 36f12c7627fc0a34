"""Export: what stays, what goes and why; the cleaned set as a folder, an archive, or a repository of the hub."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from bye_core.data import FORMATS
from bye_core.data.push import check_push, push
from bye_core.errors import ByeError
from bye_core.records import Decision
from bye_core.ui import exports, leaving, pictures
from bye_core.ui.cards import TITLES
from bye_core.ui.messages import alert, note
from bye_core.ui.session import Frame, Session
from bye_core.ui.views import RunView, open_view
from bye_core.ui.visitors import Workplace, hosted, workplace

NAME = "export"
LOOK_SECONDS = 0.4  # between two looks at an export that is being written
SAVE = """(file) => {
  if (!file || !file.url) return;
  const link = Object.assign(document.createElement('a'), { href: file.url, download: file.orig_name || '' });
  document.body.append(link);
  link.click();
  link.remove();
}"""
FIRST = "No run is open. Open the demo's run, or scan a data set: what you reject in Review is left out here."
REASON = "Rejected in Export: all that was flagged and undecided."
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
LONG = {**QUIET, "concurrency_limit": 4}
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The tab's components. `shown` is the run on display, `batch` the rejections made here that can be undone."""

    session: gr.State
    shown: gr.State
    batch: gr.State
    page: gr.State
    notice: gr.HTML
    view: gr.Column
    summary: gr.HTML
    reject: gr.Button
    undo: gr.Button
    goes: gr.Accordion
    table: gr.HTML
    before: gr.Button
    place: gr.HTML
    after: gr.Button
    name: gr.Textbox
    format: gr.Dropdown
    moved: gr.Textbox
    export: gr.Button
    command: gr.Code
    status: gr.HTML
    done: gr.Column
    download: gr.Button
    save: gr.DownloadButton
    packing: gr.HTML
    manifest: gr.Code
    removed: gr.Code
    repository: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    push: gr.Button
    pushed: gr.HTML

    def all(self) -> list[Any]:
        return list(vars(self).values())


def build(frame: Frame) -> None:
    """Reads: session.run. Writes: session.revision (after rejections); exports go to the workplace."""
    with gr.Tab("Export", id=NAME, elem_id="tab-export") as tab:
        notice = gr.HTML(note(FIRST), elem_id="export-notice")
        with gr.Column(visible=False, elem_id="export-view") as view:
            parts = Parts(frame.session, gr.State(""), gr.State(""), gr.State(0), notice, view, *_lay_out())
    _listen(parts, frame, tab)


def _lay_out() -> list[Any]:
    summary = gr.HTML(elem_id="export-summary")
    with gr.Row(elem_classes="bye-actions"):
        reject = gr.Button("", visible=False, variant="stop", scale=0, min_width=220, elem_id="export-reject")
        undo = gr.Button("Undo", visible=False, scale=0, min_width=100, elem_id="export-undo")
    with gr.Accordion("What goes, and why", open=False, elem_id="export-goes") as goes:
        table = gr.HTML(elem_id="export-table")
        with gr.Row(elem_classes="bye-pager"):
            before = gr.Button("Previous", size="sm", scale=0, elem_id="export-before")
            place = gr.HTML()
            after = gr.Button("Next", size="sm", scale=0, elem_id="export-after")
    with gr.Row(elem_classes="bye-form"):
        format = gr.Dropdown(["same"], value="same", label="Format", scale=2, elem_id="export-format")
        name = gr.Textbox(
            "",
            label="Name of the export", info="an export of this name is replaced", max_lines=1, scale=2,
            elem_id="export-name",
        )  # fmt: skip
        export = gr.Button("Export", variant="primary", scale=1, min_width=140, elem_id="export-start")
    moved = gr.Textbox("", label="The data set is now at", visible=False, max_lines=1, elem_id="export-moved")
    command = gr.Code(
        language="shell", label="The same on the command line", lines=1, wrap_lines=True, interactive=False,
        elem_id="export-command",
    )  # fmt: skip
    status = gr.HTML(elem_id="export-status")
    with gr.Column(visible=False, elem_id="export-done") as done:
        with gr.Row(elem_classes="bye-actions"):
            download = gr.Button("Download .zip", scale=0, min_width=180, elem_id="export-zip")
            save = gr.DownloadButton("Save", visible=False, scale=0, min_width=180, elem_id="export-save")
            packing = gr.HTML(elem_id="export-packing")
        with gr.Row(), gr.Column(min_width=300), gr.Accordion("manifest.json", open=False):
            manifest = gr.Code(language="json", show_label=False, interactive=False, max_lines=24)
        with gr.Accordion(f"removed.jsonl, first {exports.FIRST_LINES} lines", open=False):
            removed = gr.Code(show_label=False, interactive=False, wrap_lines=True, elem_id="export-removed")
        pushing = _lay_out_push()
    return [
        summary, reject, undo, goes, table, before, place, after, name, format, moved, export, command, status, done,
        download, save, packing, manifest, removed, *pushing,
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
    tab.select(partial(enter, parts), [session, *fields], outputs, **LONG)
    session.change(partial(changed, parts), [session, parts.shown, *fields], outputs, **LONG)
    parts.reject.click(bound(reject), session, outputs, **QUIET)
    parts.undo.click(bound(undo), [session, parts.batch], outputs, **QUIET)
    parts.before.click(bound(partial(turn, by=-1)), [session, parts.moved, parts.page], outputs, **QUIET)
    parts.after.click(bound(partial(turn, by=1)), [session, parts.moved, parts.page], outputs, **QUIET)
    for field in (parts.name, parts.format):
        field.input(bound(describe), [session, *fields], outputs, **QUIET)
    parts.moved.submit(partial(enter, parts), [session, *fields], outputs, **LONG)
    parts.export.click(partial(export, parts), [session, *fields], outputs, **LONG)
    packed = parts.download.click(partial(pack, parts), [session, parts.name], outputs, **LONG)
    packed.then(None, parts.save, js=SAVE)
    ready = "(repository, token) => ({ __type__: 'update', interactive: Boolean(repository.trim() && token.trim()) })"
    for field in (parts.repository, parts.token):
        field.change(None, [parts.repository, parts.token], parts.push, js=ready)
    to_push = [session, parts.name, parts.repository, parts.token, parts.private]
    parts.push.click(partial(upload, parts), to_push, outputs, **LONG)


# --- what is shown ---------------------------------------------------------------------------------------------


def changed(parts: Parts, session: Session, shown: str, *fields: str) -> Iterator[Update]:
    """Another run was opened; all else is looked at when the tab is."""
    if session.run == shown:
        yield {parts.shown: gr.skip()}
        return
    yield {parts.name: session.run, parts.batch: "", parts.moved: gr.Textbox("", visible=False)}
    yield from enter(parts, session, session.run, "same", "")


def enter(parts: Parts, session: Session, name: str, format: str, moved: str) -> Iterator[Update]:
    """Show the run as it stands now, and follow an export of it that is being written."""
    if not session.run:
        yield {parts.notice: note(FIRST), parts.view: gr.Column(visible=False), parts.shown: ""}
        return
    name = name or session.run
    try:
        place = workplace(session.visitor)
        view = open_view(place.run_path(session.run))
        future = exports.running(place, name)
        yield {
            parts.shown: session.run,
            parts.notice: "",
            parts.view: gr.Column(visible=True),
            parts.name: name,
            parts.format: _formats(view),
            **({} if future else look(parts, view, moved)),
            **_result(parts, place, name),
            **describe(parts, session, name, format, moved),
        }
        if future:
            yield from follow(parts, session, name, moved, future)
    except ByeError as error:
        yield _unreadable(parts, error)


def _unreadable(parts: Parts, error: ByeError) -> Update:
    """The run, or the data set it is about, cannot be read: on one's own machine the set may lie elsewhere by now."""
    return {
        parts.notice: "",
        parts.view: gr.Column(visible=True),
        parts.summary: alert(error),
        parts.reject: gr.Button(visible=False),
        parts.undo: gr.Button(visible=False),
        parts.goes: gr.Accordion(visible=False),
        parts.export: gr.Button(interactive=False),
        parts.moved: gr.Textbox(visible=not hosted()),
    }


def look(parts: Parts, view: RunView, moved: str, page: int = 0) -> Update:
    plan, samples = exports.plan(view.run, moved.strip())
    counts = leaving.count(plan)
    last = leaving.pages(plan) - 1
    page = min(max(0, page), last)
    rows = plan.removed[page * leaving.PAGE : (page + 1) * leaving.PAGE]
    shown = [samples[str(row["id"])] for row in rows if str(row["id"]) in samples]
    thumbnails = {sample.id: pictures.thumbnail(view.run.settings, sample) for sample in shown}
    many = f"all {counts.undecided:,}" if counts.undecided > 1 else "the one"
    return {
        parts.summary: leaving.summary(counts, view.detection()),
        parts.reject: gr.Button(f"Reject {many} undecided", visible=counts.undecided > 0),
        parts.goes: gr.Accordion(f"What goes, and why: {counts.go:,}", visible=counts.go > 0),
        parts.table: leaving.removed_table(plan, samples, page, thumbnails),
        parts.page: page,
        parts.place: note(f"page {page + 1:,} of {last + 1:,}"),
        parts.before: gr.Button(interactive=page > 0),
        parts.after: gr.Button(interactive=page < last),
        parts.export: gr.Button("Export", interactive=counts.stay > 0),
    }


def _formats(view: RunView) -> gr.Dropdown:
    own = view.run.settings.format or ""
    others = [(TITLES.get(name, name), name) for name in FORMATS if name != own]
    return gr.Dropdown([(f"same as it came in: {TITLES.get(own, own)}", "same"), *others])


def describe(parts: Parts, session: Session, name: str, format: str, moved: str) -> Update:
    place = workplace(session.visitor)
    run, out = place.run_path(session.run), exports.path_of(place, name.strip())
    return {parts.command: exports.command(run, out, format, moved.strip()), **_result(parts, place, name.strip())}


def turn(parts: Parts, session: Session, moved: str, page: int, by: int) -> Update:
    view = open_view(workplace(session.visitor).run_path(session.run))
    return look(parts, view, moved, page + by)


def _result(parts: Parts, place: Workplace, name: str) -> Update:
    """What lies in the workplace under that name, nothing of it if there is none."""
    found = exports.find(place, name)
    if found is None:
        return {parts.done: gr.Column(visible=False), parts.status: "", parts.save: gr.DownloadButton(visible=False)}
    counts = found.manifest["counts"]
    where = f" in {found.path}" if not hosted() else ""
    words = f"Exported{where}: {counts['kept']:,} records stay, {counts['removed']:,} are listed in removed.jsonl."
    return {
        parts.done: gr.Column(visible=True),
        parts.status: f'<div class="bye-ok" role="status">{note(words)}</div>',
        parts.save: gr.DownloadButton(visible=False, value=None),
        parts.packing: "",
        parts.pushed: "",
        parts.manifest: json.dumps(found.manifest, indent=1, ensure_ascii=False),
        parts.removed: found.first_removed or "(nothing was removed)",
    }


# --- what is done ----------------------------------------------------------------------------------------------


def reject(parts: Parts, session: Session) -> Update:
    """Reject what is flagged and undecided at this moment, as one batch."""
    view = open_view(workplace(session.visitor).run_path(session.run))
    plan, _ = exports.plan(view.run)
    batch = view.run.decide([Decision(id, "reject", note=REASON) for id in plan.undecided])
    undoing = gr.Button(f"Undo these {len(plan.undecided):,}", visible=bool(batch))
    return {**_decided(parts, session, view), parts.batch: batch, parts.undo: undoing}


def undo(parts: Parts, session: Session, batch: str) -> Update:
    view = open_view(workplace(session.visitor).run_path(session.run))
    if batch:
        view.run.undo(batch)
    return {**_decided(parts, session, view), parts.batch: "", parts.undo: gr.Button(visible=False)}


def _decided(parts: Parts, session: Session, view: RunView) -> Update:
    return {parts.session: replace(session, revision=session.revision + 1), **look(parts, view, "")}


def export(parts: Parts, session: Session, name: str, format: str, moved: str) -> Iterator[Update]:
    try:
        place, name = workplace(session.visitor), name.strip()
        future = exports.start(place, place.run_path(session.run), name, format, "" if hosted() else moved.strip())
    except ByeError as error:
        yield {parts.status: alert(error)}
        return
    yield from follow(parts, session, name, moved, future)


def follow(parts: Parts, session: Session, name: str, moved: str, future: Future) -> Iterator[Update]:
    """Tell how an export goes on, to its end."""
    place, start = workplace(session.visitor), time.monotonic()
    try:
        while not exports.wait(future, LOOK_SECONDS):
            words = f"Exporting: {exports.written(place, name):,} files, {time.monotonic() - start:.0f} s"
            yield {
                parts.status: f'<div role="status">{note(words)}</div>',
                parts.export: gr.Button("Exporting", interactive=False),
                parts.done: gr.Column(visible=False),
            }
        future.result()
        yield _result(parts, place, name)
    except ByeError as error:
        yield {parts.status: alert(error)}
    finally:
        ended = look(parts, open_view(place.run_path(session.run)), moved)
        yield ended


def pack(parts: Parts, session: Session, name: str) -> Iterator[Update]:
    """Build the archive where Gradio serves files from, and offer it."""
    try:
        place, then = workplace(session.visitor), 0.0
        yield {parts.download: gr.Button("Packing", interactive=False), parts.save: gr.DownloadButton(visible=False)}
        for step in exports.pack(place, name.strip(), Path(get_upload_folder())):
            if time.monotonic() > then:
                then = time.monotonic() + LOOK_SECONDS
                yield {parts.packing: note(f"{step.done / max(1, step.total):.0%}")}
        path = step.facts["path"]
        label = f"Save {path.name} ({_size(path.stat().st_size)})"
        yield {parts.save: gr.DownloadButton(label, value=path, visible=True), parts.packing: ""}
    except ByeError as error:
        yield {parts.packing: alert(error)}
    finally:
        yield {parts.download: gr.Button("Download .zip", interactive=True)}


def upload(parts: Parts, session: Session, name: str, repository: str, token: str, private: bool) -> Iterator[Update]:
    """Push to the hub. The token's field is emptied whatever comes of it."""
    try:
        folder = exports.path_of(workplace(session.visitor), name.strip())
        check_push(folder, repository, token)
        yield {parts.push: gr.Button("Pushing", interactive=False), parts.pushed: note("Uploading ...")}
        address = push(folder, repository, token, private)
        shown = f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>'
        yield {parts.pushed: f'<div class="bye-ok" role="status">Uploaded: {shown}</div>'}
    except ByeError as error:
        yield {parts.pushed: alert(error)}
    finally:
        yield {parts.token: "", parts.push: gr.Button("Push", interactive=False)}


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
