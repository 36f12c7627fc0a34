"""The panel that loads and removes a truth file. The file is used for the colours of figures and for the F1 score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui.adjust import truth_file
from bye_core.ui.adjust.comparison import NotReady, detected_run
from bye_core.ui.session import Frame, Session, Watcher
from bye_core.ui.shared.events import SESSION
from bye_core.ui.shared.messages import alert, note, warn

WITHOUT = (
    "If you know which samples are poisoned, load their list. It is used for the colours of histograms and for F1. "
    "Detectors never read it."
)
WITH = "{count:,} samples of this run are known to be poisoned. Colours and F1 use this list. Detectors never read it."


def build_truth(frame: Frame) -> None:
    """Build the panel. It reads the session and writes session.truth."""
    with gr.Accordion("Truth file", open=False, visible=False, elem_id="truth") as panel:
        status = gr.HTML(note(WITHOUT), elem_id="truth-status")
        demo = gr.Button("Show the known truth", size="sm", visible=False, elem_id="truth-demo")
        upload = gr.UploadButton("Load truth.json", file_types=[".json"], size="sm", elem_id="truth-upload")
        forget = gr.Button("Remove the truth", size="sm", visible=False, elem_id="truth-forget")
    outputs = [panel, status, demo, upload, forget]
    showing = lambda session: dict(zip(outputs, show(session), strict=True))  # noqa: E731
    frame.followers.append(Watcher(showing, [frame.session], outputs))
    upload.upload(load, [frame.session, upload], [frame.session, status], **SESSION)
    demo.click(load_demo, frame.session, [frame.session, status], **SESSION)
    forget.click(remove, frame.session, frame.session, **SESSION)


def show(session: Session) -> tuple[Any, ...]:
    """Update the panel, its status and its buttons for the truth file that is loaded, if any."""
    try:
        opened, _ = detected_run(session)
        poisoned = truth_file.loaded(session)
    except NotReady:
        return gr.Accordion(visible=False), *[gr.skip()] * 4
    except ByeError as error:
        hidden = gr.Button(visible=False)
        return gr.Accordion(visible=True), alert(error), hidden, gr.UploadButton(visible=True), gr.Button(visible=True)
    has = poisoned is not None
    words = WITHOUT if poisoned is None else WITH.format(count=int(opened.mask(poisoned).sum()))
    demo = truth_file.shipped_truth(opened) is not None and not has
    buttons = gr.Button(visible=demo), gr.UploadButton(visible=not has), gr.Button(visible=has)
    return gr.Accordion(visible=True), note(words), *buttons


def load(session: Session, source: str | None) -> tuple[Any, Any]:
    try:
        opened, _ = detected_run(session)
        return replace(session, truth=truth_file.load(session, opened, Path(source or ""))), gr.skip()
    except ByeError as error:
        return gr.skip(), alert(error)


def load_demo(session: Session) -> tuple[Any, Any]:
    try:
        truth = truth_file.shipped_truth(detected_run(session)[0])
    except ByeError as error:
        return gr.skip(), alert(error)
    return load(session, str(truth)) if truth else (gr.skip(), gr.skip())


def remove(session: Session) -> Session:
    try:
        truth_file.remove(session)
    except ByeError as error:
        warn(error)
    return replace(session, truth="")
