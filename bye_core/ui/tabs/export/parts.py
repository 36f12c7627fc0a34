"""The components of the Export tab; see tabs/export.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from bye_core.ui.session import Session
from bye_core.ui.workspace import hosted

PROGRAM = """\
# pip install gradio_client; this page's address instead of ADDRESS
from gradio_client import Client

client = Client("ADDRESS")
found = client.predict({run}api_name="/detect")
manifest = client.predict({run}archive=True, api_name="/export")
"""
Update = dict[Any, Any]


@dataclass(frozen=True)
class Parts:
    """The tab's components. `shown` is the run on display, `batch` the rejections made here that can be undone."""

    session: gr.State
    shown: gr.State
    batch: gr.State
    page: gr.State
    in_front: gr.Checkbox
    notice: gr.HTML
    view: gr.Column
    summary: gr.HTML
    reject: gr.Button
    undo: gr.Button
    goes: gr.Accordion
    table: gr.HTML
    pager: gr.Row
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
    program: gr.Code

    def all(self) -> list[Any]:
        return list(vars(self).values())


def gathered(updates: Iterable[Update]) -> Iterator[Update]:
    """Each update with all those before it: of several that come at once Gradio's page shows the last alone."""
    shown: Update = {}
    for update in updates:
        shown = shown | update
        yield shown


def program(session: Session) -> str:
    """How a program does the same. On a public host the visitor's token says whose run is meant."""
    names = {"run": session.run, **({"visitor": session.visitor} if hosted() else {})}
    return PROGRAM.format(run="".join(f"{name}={value!r}, " for name, value in names.items()))
