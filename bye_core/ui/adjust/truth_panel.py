"""Loading and forgetting a truth file: what a person does on purpose, to see colours and F1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.adjust import truth_file, trying
from bye_core.ui.adjust.trying import NotReady
from bye_core.ui.session import Frame, Session
from bye_core.ui.shared.messages import alert, note, warn

QUIET = {"api_visibility": "private", "show_progress": "hidden"}
SESSION = {**QUIET, "concurrency_id": "session", "concurrency_limit": 1}

WITHOUT = (
    "Which samples are poisoned is known of made sets only. Loaded, it gives F1 and colours to the histograms; "
    "no detector ever sees it."
)
WITH = "{count:,} samples of this run are known to be poisoned. Colours and F1 use it, no detector does."


def build_truth(frame: Frame) -> None:
    """Reads: session. Writes: session.truth."""
    with gr.Accordion("Truth file", open=False, visible=False, elem_id="truth") as panel:
        status = gr.HTML(note(WITHOUT), elem_id="truth-status")
        demo = gr.Button("Show the truth of the demo", size="sm", visible=False, elem_id="truth-demo")
        upload = gr.UploadButton("Load truth.json", file_types=[".json"], size="sm", elem_id="truth-upload")
        forget = gr.Button("Forget the truth", size="sm", visible=False, elem_id="truth-forget")
    outputs = [panel, status, demo, upload, forget]
    frame.session.change(shown, frame.session, outputs, **QUIET)
    upload.upload(load, [frame.session, upload], [frame.session, status], **SESSION)
    demo.click(load_demo, frame.session, [frame.session, status], **SESSION)
    forget.click(forgotten, frame.session, frame.session, **SESSION)


def shown(session: Session) -> tuple[Any, ...]:
    try:
        view, _ = trying.opened(session)
        poisoned = truth_file.loaded(session)
    except NotReady:
        return gr.Accordion(visible=False), *[gr.skip()] * 4
    except ByeError as error:
        gone = gr.Button(visible=False)
        return gr.Accordion(visible=True), alert(error), gone, gr.UploadButton(visible=True), gr.Button(visible=True)
    has = poisoned is not None
    words = WITH.format(count=int(view.truth_mask(poisoned).sum())) if has else WITHOUT
    demo = truth_file.demo_truth(view) is not None and not has
    buttons = gr.Button(visible=demo), gr.UploadButton(visible=not has), gr.Button(visible=has)
    return gr.Accordion(visible=True), note(words), *buttons


def load(session: Session, source: str | None) -> tuple[Any, Any]:
    try:
        view, _ = trying.opened(session)
        return replace(session, truth=truth_file.load(session, view, Path(source or ""))), gr.skip()
    except ByeError as error:
        return gr.skip(), alert(error)


def load_demo(session: Session) -> tuple[Any, Any]:
    try:
        view, _ = trying.opened(session)
        truth = truth_file.demo_truth(view)
        return (replace(session, truth=truth_file.load(session, view, truth)) if truth else gr.skip()), gr.skip()
    except ByeError as error:
        return gr.skip(), alert(error)


def forgotten(session: Session) -> Session:
    try:
        truth_file.forget(session)
    except ByeError as error:
        warn(error)
    return replace(session, truth="")
