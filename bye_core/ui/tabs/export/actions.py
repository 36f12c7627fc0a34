"""What the Export tab does: what stays and goes, export, archive, push; see tabs/export.py."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from bye_core.data import FORMATS
from bye_core.data.formats import format_title
from bye_core.data.hub import check_push, push
from bye_core.errors import ByeError
from bye_core.records import Decision
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.session import Session
from bye_core.ui.shared import images
from bye_core.ui.shared.exports import export_path, find_export
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.export import summary
from bye_core.ui.tabs.export.parts import Parts, Update, gathered, program
from bye_core.ui.workspace import Workspace, hosted, workspace_of

LOOK_SECONDS = 0.4  # between two looks at an export that is being written
FIRST = "No run is open. Open the demo's run, or scan a data set: what you reject in Review is left out here."
REASON = "Rejected in Export: all that was flagged and undecided."


# --- what is shown ---------------------------------------------------------------------------------------------


def changed(
    parts: Parts, session: Session, shown: str, name: str, format: str, moved: str, front: bool
) -> Iterator[Update]:
    """Another run was opened while somebody looks at the tab; all else is looked at when the tab is."""
    if session.run == shown or not front:
        yield {parts.shown: gr.skip()}
    else:
        yield from enter(parts, session, shown, name, format, moved)


def enter(parts: Parts, session: Session, shown: str, name: str, format: str, moved: str) -> Iterator[Update]:
    """Show the run as it stands now, and follow an export of it that is being written. Another run than was `shown`
    starts with its own name."""
    if session.run == shown:
        yield from _enter(parts, session, name, format, moved)
        return
    anew = {parts.name: session.run, parts.batch: "", parts.moved: gr.Textbox("", visible=False)}
    for update in _enter(parts, session, session.run, format, ""):
        yield anew | update


def _enter(parts: Parts, session: Session, name: str, format: str, moved: str) -> Iterator[Update]:
    if not session.run:
        yield {parts.notice: note(FIRST), parts.view: gr.Column(visible=False), parts.shown: ""}
        return
    given, name = name, name or session.run
    try:
        place = workspace_of(session.visitor)
        view = open_run(place.run_path(session.run))
        future = export_job.running(place, name)
        shown = {
            parts.shown: session.run,
            parts.notice: "",
            parts.view: gr.Column(visible=True),
            # What is in the field stays: it may have been changed since this was asked for.
            **({} if given else {parts.name: name}),
            parts.format: _formats(view),
            parts.program: program(session),
            **({} if future else look(parts, view, moved)),
            **_result(parts, place, name),
            **describe(parts, session, name, format, moved),
        }
        yield shown
        if future:
            for update in follow(parts, session, name, moved, future):
                yield shown | update
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


def look(parts: Parts, view: OpenRun, moved: str, page: int = 0) -> Update:
    plan, samples = export_job.plan(view.run, moved.strip())
    counts = summary.count(plan)
    last = summary.pages(plan) - 1
    page = min(max(0, page), last)
    rows = plan.removed[page * summary.PAGE : (page + 1) * summary.PAGE]
    shown = [samples[str(row["id"])] for row in rows if str(row["id"]) in samples]
    thumbnails = {sample.id: images.thumbnail(view.run.settings, sample) for sample in shown}
    many = f"all {counts.undecided:,}" if counts.undecided > 1 else "the one"
    return {
        parts.summary: summary.summary(counts, view.detection),
        parts.reject: gr.Button(f"Reject {many} undecided", visible=counts.undecided > 0),
        parts.goes: gr.Accordion(f"What goes, and why: {counts.go:,}", visible=counts.go > 0),
        parts.table: summary.removed_table(plan, samples, page, thumbnails),
        parts.page: page,
        parts.pager: gr.Row(visible=last > 0),
        parts.place: note(f"page {page + 1:,} of {last + 1:,}"),
        parts.before: gr.Button(interactive=page > 0),
        parts.after: gr.Button(interactive=page < last),
        parts.export: gr.Button("Export", interactive=counts.stay > 0),
    }


def _formats(view: OpenRun) -> gr.Dropdown:
    own = view.run.settings.format or ""
    others = [(format_title(name), name) for name in FORMATS if name != own]
    return gr.Dropdown([(f"same as it came in: {format_title(own)}", "same"), *others])


def describe(parts: Parts, session: Session, name: str, format: str, moved: str) -> Update:
    place = workspace_of(session.visitor)
    run, out = place.run_path(session.run), export_path(place, name.strip())
    return {parts.command: export_job.command(run, out, format, moved.strip()), **_result(parts, place, name.strip())}


def turn(parts: Parts, session: Session, moved: str, page: int, by: int) -> Update:
    view = open_run(workspace_of(session.visitor).run_path(session.run))
    return look(parts, view, moved, page + by)


def _result(parts: Parts, place: Workspace, name: str) -> Update:
    """What lies in the workspace under that name, nothing of it if there is none."""
    found = find_export(place, name)
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
    view = open_run(workspace_of(session.visitor).run_path(session.run))
    plan, _ = export_job.plan(view.run)
    batch = view.run.decide([Decision(id, "reject", note=REASON) for id in plan.undecided])
    undoing = gr.Button(f"Undo these {len(plan.undecided):,}", visible=bool(batch))
    return {**_decided(parts, session, view), parts.batch: batch, parts.undo: undoing}


def undo(parts: Parts, session: Session, batch: str) -> Update:
    view = open_run(workspace_of(session.visitor).run_path(session.run))
    if batch:
        view.run.undo(batch)
    return {**_decided(parts, session, view), parts.batch: "", parts.undo: gr.Button(visible=False)}


def _decided(parts: Parts, session: Session, view: OpenRun) -> Update:
    return {parts.session: replace(session, revision=session.revision + 1), **look(parts, view, "")}


def export(parts: Parts, session: Session, name: str, format: str, moved: str) -> Iterator[Update]:
    try:
        place, name = workspace_of(session.visitor), name.strip()
        future = export_job.start(place, place.run_path(session.run), name, format, moved.strip())
        yield from follow(parts, session, name, moved, future)
    except ByeError as error:
        yield {parts.status: alert(error)}


def follow(parts: Parts, session: Session, name: str, moved: str, future: Future) -> Iterator[Update]:
    """Tell how an export goes on, to its end."""
    place, start = workspace_of(session.visitor), time.monotonic()
    view = open_run(place.run_path(session.run))

    def steps() -> Iterator[Update]:
        while not export_job.wait(future, LOOK_SECONDS):
            words = f"Exporting: {export_job.written(place, name):,} files, {time.monotonic() - start:.0f} s"
            yield {
                parts.status: f'<div role="status">{note(words)}</div>',
                parts.export: gr.Button("Exporting", interactive=False),
                parts.done: gr.Column(visible=False),
            }
        future.result()
        yield _result(parts, place, name) | look(parts, view, moved)

    yield from _ended(steps(), {parts.export: gr.Button("Export", interactive=True)}, parts.status)


def _ended(steps: Iterator[Update], then: Update, where: gr.HTML) -> Iterator[Update]:
    """`steps`, a ByeError of theirs as words at `where`, and `then`, whatever came of them: no button stays as it was
    while they ran. A page that is closed gets nothing more."""
    shown: Update = {}
    try:
        for shown in gathered(steps):
            yield shown
    except ByeError as error:
        shown = shown | {where: alert(error)}
    except Exception:
        yield shown | then
        raise
    yield shown | then


def pack(parts: Parts, session: Session, name: str) -> Iterator[Update]:
    """Build the archive where Gradio serves files from, and offer it."""

    def steps() -> Iterator[Update]:
        place, then = workspace_of(session.visitor), 0.0
        yield {
            parts.download: gr.Button("Packing", interactive=False),
            parts.save: gr.DownloadButton(value=None, visible=False),
            parts.packing: "",
        }
        for step in export_job.pack(place, name.strip(), Path(get_upload_folder())):
            if time.monotonic() > then:
                then = time.monotonic() + LOOK_SECONDS
                yield {parts.packing: note(f"{step.done / max(1, step.total):.0%}")}
        path = step.facts["path"]
        label = f"Save {path.name} ({_size(path.stat().st_size)})"
        yield {parts.save: gr.DownloadButton(label, value=path, visible=True), parts.packing: ""}

    yield from _ended(steps(), {parts.download: gr.Button("Download .zip", interactive=True)}, parts.packing)


def upload(parts: Parts, session: Session, name: str, repository: str, token: str, private: bool) -> Iterator[Update]:
    """Push to the hub. The token's field is emptied whatever comes of it."""

    def steps() -> Iterator[Update]:
        folder = export_path(workspace_of(session.visitor), name.strip())
        check_push(folder, repository, token)
        yield {parts.push: gr.Button("Pushing", interactive=False), parts.pushed: note("Uploading ...")}
        address = push(folder, repository, token, private)
        shown = f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>'
        yield {parts.pushed: f'<div class="bye-ok" role="status">Uploaded: {shown}</div>'}

    yield from _ended(steps(), {parts.token: "", parts.push: gr.Button("Push", interactive=False)}, parts.pushed)


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
