"""The handlers of the Export tab: show what is kept and removed, reject, and export."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace

import gradio as gr

from bye_core.data import FORMATS
from bye_core.data.formats import format_title
from bye_core.errors import ByeError
from bye_core.records import Decision
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.session import Session
from bye_core.ui.shared import events, images
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.exports import export_path, find_export, newest_export
from bye_core.ui.shared.messages import alert, note
from bye_core.ui.shared.steps import INTERVAL, until_end
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.export import summary
from bye_core.ui.workspace import Workspace, hosted, workspace_of

NO_RUN = (
    "No run is open. Open the demo, or scan a data set. The export leaves out the samples that you reject in Review."
)
REASON = "Rejected in Export: all flagged samples without a decision."


@dataclass(frozen=True)
class Parts(events.Parts):
    """The tab's components.

    shown  name of the run on the page
    batch  id of the last batch of rejections made in this tab, for undo
    """

    shown: gr.State
    batch: gr.State
    page: gr.State
    notice: gr.HTML
    view: gr.Column
    summary: gr.HTML
    reject: gr.Button
    undo: gr.Button
    removed_box: gr.Accordion
    table: gr.HTML
    pager: gr.Row
    before: gr.Button
    page_number: gr.HTML
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
    program: gr.Code


# --- what is shown ---------------------------------------------------------------------------------------------


def change_session(parts: Parts, session: Session, shown: str, name: str, format: str, moved: str) -> Iterator[Update]:
    """Show the newly opened run. Do nothing if the page shows it already."""
    if session.run == shown:
        yield {parts.shown: gr.skip()}
    else:
        yield from enter(parts, session, shown, name, format, moved)


def enter(parts: Parts, session: Session, shown: str, name: str, format: str, moved: str) -> Iterator[Update]:
    """Show the open run and follow its running export. If the run is new on the page, reset the form for it."""
    if session.run == shown:
        yield from _show(parts, session, name, format, moved)
        return
    name = _first_name(session)
    reset = {parts.name: name, parts.batch: "", parts.moved: gr.Textbox("", visible=False)}
    for update in _show(parts, session, name, format, ""):
        yield reset | update


def _first_name(session: Session) -> str:
    """Return the name of the run's newest export, which the page then offers; without one, the name of the run."""
    workspace = workspace_of(session.visitor)
    try:
        return (newest_export(workspace, _open_run(session).settings) or session.run) if session.run else ""
    except ByeError:
        return session.run  # `_show` says why the run cannot be read


def _show(parts: Parts, session: Session, entered: str, format: str, moved: str) -> Iterator[Update]:
    if not session.run:
        yield {parts.notice: note(NO_RUN), parts.view: gr.Column(visible=False), parts.shown: ""}
        return
    name = entered or session.run
    try:
        workspace = workspace_of(session.visitor)
        view = open_run(workspace.run_path(session.run))
        future = export_job.running(workspace, name)
        update = {
            parts.shown: session.run,
            parts.notice: "",
            parts.view: gr.Column(visible=True),
            # A field that is filled keeps its value: the user may have changed it since this request was sent.
            **({} if entered else {parts.name: name}),
            parts.format: _formats(view),
            parts.program: export_job.program(session),
            **({} if future else show_plan(parts, view, moved)),
            **_result(parts, workspace, name),
            **describe(parts, session, name, format, moved),
        }
        yield update
        if future:
            for step in _follow(parts, session, name, moved, future):
                yield update | step
    except ByeError as error:
        yield _unreadable(parts, error)


def _unreadable(parts: Parts, error: ByeError) -> Update:
    """Show why the run or its data set cannot be read. On the user's own machine, ask for the new path of the set."""
    return {
        parts.notice: "",
        parts.view: gr.Column(visible=True),
        parts.summary: alert(error),
        parts.reject: gr.Button(visible=False),
        parts.undo: gr.Button(visible=False),
        parts.removed_box: gr.Accordion(visible=False),
        parts.export: gr.Button(interactive=False),
        parts.moved: gr.Textbox(visible=not hosted()),
    }


def show_plan(parts: Parts, view: OpenRun, moved: str, page: int = 0) -> Update:
    """Show what an export would keep and remove, and one page of the removed records."""
    plan, samples = export_job.plan(view.run, moved.strip())
    counts, last = summary.count(plan), summary.pages(plan) - 1
    page = min(max(0, page), last)
    rows = plan.removed[page * summary.PAGE : (page + 1) * summary.PAGE]
    listed = [samples[str(row["id"])] for row in rows if str(row["id"]) in samples]
    thumbnails = {sample.id: images.thumbnail(view.run.settings, sample) for sample in listed}
    undecided = f"all {counts.undecided:,} undecided" if counts.undecided > 1 else "the undecided one"
    return {
        parts.summary: summary.summary(counts, view.detection, view.path.name),
        parts.reject: gr.Button(f"Reject {undecided}", visible=counts.undecided > 0),
        parts.removed_box: gr.Accordion(f"Removed records: {counts.removed:,}", visible=counts.removed > 0),
        parts.table: summary.removed_table(plan, samples, page, thumbnails),
        parts.page: page,
        parts.pager: gr.Row(visible=last > 0),
        parts.page_number: note(f"page {page + 1:,} of {last + 1:,}"),
        parts.before: gr.Button(interactive=page > 0),
        parts.after: gr.Button(interactive=page < last),
        parts.export: gr.Button("Export", interactive=counts.kept > 0),
    }


def _formats(view: OpenRun) -> gr.Dropdown:
    own = view.run.settings.format or ""
    others = [(format_title(name), name) for name in FORMATS if name != own]
    return gr.Dropdown([(f"unchanged: {format_title(own)}", "same"), *others])


def describe(parts: Parts, session: Session, name: str, format: str, moved: str) -> Update:
    """Show the command for the export that the form describes, and the finished export of that name if it exists."""
    workspace, name = workspace_of(session.visitor), name.strip()
    run, out = workspace.run_path(session.run), export_path(workspace, name)
    return {parts.command: export_job.command(run, out, format, moved.strip()), **_result(parts, workspace, name)}


def previous_page(parts: Parts, session: Session, moved: str, page: int) -> Update:
    return show_plan(parts, _open_run(session), moved, page - 1)


def next_page(parts: Parts, session: Session, moved: str, page: int) -> Update:
    return show_plan(parts, _open_run(session), moved, page + 1)


def _open_run(session: Session) -> OpenRun:
    return open_run(workspace_of(session.visitor).run_path(session.run))


def _result(parts: Parts, workspace: Workspace, name: str) -> Update:
    """Show the finished export of this name, or nothing."""
    export = find_export(workspace, name)
    if export is None:
        return {parts.done: gr.Column(visible=False), parts.status: "", parts.save: gr.DownloadButton(visible=False)}
    counts = export.manifest["counts"]
    where = f" to {export.path}" if not hosted() else ""
    words = f"Exported{where}: {counts['kept']:,} records kept, {counts['removed']:,} listed in removed.jsonl."
    return {
        parts.done: gr.Column(visible=True),
        parts.status: f'<div class="bye-ok" role="status">{note(words)}</div>',
        parts.save: gr.DownloadButton(visible=False, value=None),
        parts.packing: "",
        parts.pushed: "",
        parts.manifest: json.dumps(export.manifest, indent=1, ensure_ascii=False),
        parts.removed: export.first_removed or "(nothing was removed)",
    }


# --- what is done ----------------------------------------------------------------------------------------------


def reject(parts: Parts, session: Session) -> Update:
    """Reject all flagged samples that have no decision yet, as one batch."""
    view = _open_run(session)
    plan, _ = export_job.plan(view.run)
    batch = view.run.decide([Decision(id, "reject", note=REASON) for id in plan.undecided])
    undo = gr.Button(f"Undo these {len(plan.undecided):,}", visible=bool(batch))
    return {**_decided(parts, session, view), parts.batch: batch, parts.undo: undo}


def undo(parts: Parts, session: Session, batch: str) -> Update:
    view = _open_run(session)
    if batch:
        view.run.undo(batch)
    return {**_decided(parts, session, view), parts.batch: "", parts.undo: gr.Button(visible=False)}


def _decided(parts: Parts, session: Session, view: OpenRun) -> Update:
    return {parts.session: replace(session, revision=session.revision + 1), **show_plan(parts, view, "")}


def export(parts: Parts, session: Session, name: str, format: str, moved: str) -> Iterator[Update]:
    workspace, name = workspace_of(session.visitor), name.strip()
    future = export_job.start(workspace, workspace.run_path(session.run), name, format, moved.strip())
    yield from _follow(parts, session, name, moved, future)


def _follow(parts: Parts, session: Session, name: str, moved: str, future: Future) -> Iterator[Update]:
    """Show the progress of a running export until it ends, then its result."""
    workspace, start = workspace_of(session.visitor), time.monotonic()
    view = _open_run(session)

    def steps() -> Iterator[Update]:
        while not export_job.wait(future, INTERVAL):
            words = f"Exporting: {export_job.written(workspace, name):,} files, {time.monotonic() - start:.0f} s"
            yield {
                parts.status: f'<div role="status">{note(words)}</div>',
                parts.export: gr.Button("Exporting", interactive=False),
                parts.done: gr.Column(visible=False),
            }
        future.result()
        yield _result(parts, workspace, name) | show_plan(parts, view, moved)

    yield from until_end(steps(), {parts.export: gr.Button("Export", interactive=True)}, parts.status)
