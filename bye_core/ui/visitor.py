"""Identifies the visitor who opens the page, restores the open run, and updates the header while jobs run."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import gradio as gr

from bye_core import pipeline, runs
from bye_core.errors import ByeError
from bye_core.ui.demo_run import run_to_open
from bye_core.ui.header.view import header, running_jobs
from bye_core.ui.session import Session
from bye_core.ui.shared.messages import warn
from bye_core.ui.shared.obstacles import TUNED, WITHDRAWN
from bye_core.ui.shared.project import open_run_in
from bye_core.ui.shared.workspace_jobs import is_busy
from bye_core.ui.workspace import is_token, new_token, workspace_of

SAID = {
    TUNED: "The run remembers that its model was fine-tuned on this data set. The top of the page can withdraw this.",
    WITHDRAWN: "The statement is withdrawn. The verdict is up to date.",
}
LAST_BEATS = 3  # ticks of the pulse timer after the last job has ended: what one of them shows may be dropped


def enter(stored: dict, run: str) -> tuple[dict, Session, gr.Timer]:
    """Return (what the browser stores, the session, the pulse timer) for a page that was just opened.

    `stored` is what the browser stored before: the visitor's token, the run and the data set; and the run in the
    page's address, as "link". The run that opens is the first that exists of: the one in the address, `run`, the stored
    one, the demo. The pulse is active if jobs of the visitor run.
    """
    known, data, link = (stored.get(name) for name in ("visitor", "data", "link"))
    data, link = (value if isinstance(value, str) else "" for value in (data, link))
    visitor = known if is_token(known) else new_token()
    workspace = workspace_of(visitor)
    kept = stored.get("run")
    session = Session(visitor=visitor, data=data, first=not is_token(known))
    try:
        # A stored set without a run is a project that has not been scanned yet.
        name = "" if data and kept == "" and not (run or link) else run_to_open(workspace, link, run, kept)
        session = open_run_in(workspace, session, name) if name else session
    except ByeError as error:  # a public host without space for another visitor
        warn(error)
        name = ""
    session = replace(session, unknown=link if link not in ("", name) else "")
    return to_store(session), session, gr.Timer(active=is_busy(workspace))


def to_store(session: Session) -> dict:
    """Return the part of a session that the browser stores."""
    return {"visitor": session.visitor, "run": session.run, "data": session.data}


def beat(session: Session, idle: int) -> tuple[str, str, int, gr.Timer]:
    """Update the header while jobs run. Return (header, running jobs, ticks since the last job ended, pulse timer).

    The pulse ticks LAST_BEATS times after the last job has ended, so that every tab sees the end of the job.
    """
    idle = 0 if is_busy(workspace_of(session.visitor)) else idle + 1
    return show_header(session), show_running(session), idle % LAST_BEATS, gr.Timer(active=idle < LAST_BEATS)


def wake(session: Session) -> gr.Timer | dict[str, Any]:
    """Let the pulse tick if jobs run. To be called after each change of the ticks that `beat` has counted.

    Otherwise, a late answer of `beat` would stop the pulse that a handler has just started with a job.
    """
    return gr.Timer(active=True) if session.visitor and is_busy(workspace_of(session.visitor)) else gr.skip()


def show_header(session: Session) -> str:
    """Return the HTML of the project and its open run."""
    try:
        return header(session)
    except ByeError as error:
        warn(error)
        return header(replace(session, run=""))


def show_running(session: Session) -> str:
    """Return the HTML of the visitor's running jobs."""
    return running_jobs(workspace_of(session.visitor).jobs) if session.visitor else ""


def detect_again(session: Session, name: str, statement: str) -> Session:
    """Detect again in the run `name`, after the user stated that its model was fine-tuned on its data set.

    `statement` is TUNED, WITHDRAWN (the user takes the statement back) or AGAIN (the statement stays). The method and
    the settings are those of the saved detection. Return the session with the next revision; return it unchanged, and
    show the error, if the run cannot be written.
    """
    try:
        path = workspace_of(session.visitor).run_path(name)
        run = runs.Run.open(path)
        if statement in (TUNED, WITHDRAWN):
            run.remember(tuned_on_this_data=statement == TUNED)
        saved = run.detection()
        if saved is not None:
            pipeline.detect_run(path, saved.method, **saved.settings)
    except ByeError as error:
        warn(error)
        return session
    gr.Info(SAID.get(statement, "The detection is up to date."), duration=6)
    return replace(session, revision=session.revision + 1)


def secret() -> str:
    """Return the key that signs what browsers store. It is a file in BYE_HOME, so it stays valid after a restart."""
    path = runs.home() / "secret"
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        key = new_token()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
        return key
