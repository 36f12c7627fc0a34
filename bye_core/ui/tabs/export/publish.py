"""The handlers that publish a finished export: pack it for download, or push it to the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from bye_core.data.hub import check_push, push
from bye_core.ui.session import Session
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.exports import export_path
from bye_core.ui.shared.messages import note
from bye_core.ui.shared.steps import paced, until_end
from bye_core.ui.tabs.export import job as export_job
from bye_core.ui.tabs.export.actions import Parts
from bye_core.ui.workspace import workspace_of


def pack(parts: Parts, session: Session, name: str) -> Iterator[Update]:
    """Write the archive to the folder from which Gradio serves files, then show its download button."""

    def steps() -> Iterator[Update]:
        workspace = workspace_of(session.visitor)
        yield {
            parts.download: gr.Button("Packing", interactive=False),
            parts.save: gr.DownloadButton(value=None, visible=False),
            parts.packing: "",
        }
        for step in paced(export_job.pack(workspace, name.strip(), Path(get_upload_folder()))):
            yield {parts.packing: note(f"{step.done / max(1, step.total):.0%}")}
        path = step.facts["path"]
        label = f"Save {path.name} ({_size(path.stat().st_size)})"
        yield {parts.save: gr.DownloadButton(label, value=path, visible=True), parts.packing: ""}

    yield from until_end(steps(), {parts.download: gr.Button("Download .zip", interactive=True)}, parts.packing)


def upload(parts: Parts, session: Session, name: str, repository: str, token: str, private: bool) -> Iterator[Update]:
    """Push the export to the hub. The token field is always emptied, also after an error."""

    def steps() -> Iterator[Update]:
        folder = export_path(workspace_of(session.visitor), name.strip())
        check_push(folder, repository, token)
        yield {parts.push: gr.Button("Pushing", interactive=False), parts.pushed: note("Uploading ...")}
        address = push(folder, repository, token, private)
        link = f'<a href="{address}" target="_blank" rel="noopener noreferrer">{address}</a>'
        yield {parts.pushed: f'<div class="bye-ok" role="status">Uploaded: {link}</div>'}

    yield from until_end(steps(), {parts.token: "", parts.push: gr.Button("Push", interactive=False)}, parts.pushed)


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
