"""Review: one sample after another, with the attention over its picture. The page is assets/review.html and
assets/scripts/review/."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.figures import scale_stops
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Frame, Session, Tab
from bye_core.ui.shared.messages import warn
from bye_core.ui.shared.sample_queue import BITS
from bye_core.ui.tabs.review.actions import SERVER_FUNCTIONS
from bye_core.ui.tabs.review.why import review_why
from bye_core.ui.web.first_screen import COMPONENT, TAKES_OVER
from bye_core.ui.workspace import workspace_of

NAME = COMPONENT


def build(frame: Frame, tab: gr.Tab) -> None:
    """Reads: session. Writes: session.revision after decisions; clears session.sample and session.selection once they
    are shown. Decisions go to the run."""
    page = gr.HTML(
        {},
        html_template="<div></div>",
        js_on_load=TAKES_OVER,
        apply_default_css=False,
        server_functions=[*SERVER_FUNCTIONS, review_why],
        elem_id=NAME,
        stops=scale_stops(),
        asked=frame.asked,
        bits=BITS,
    )
    session, quiet = frame.session, {"api_visibility": "private", "show_progress": "hidden"}
    session.change(looked_at, session, page, **quiet)
    # One at a time: two bumps at once must not cost one of them.
    alone = {**quiet, "concurrency_limit": 1, "concurrency_id": "session"}
    page.decided(decided, session, session, **alone)
    page.opened(opened, session, session, **alone)
    page.dossier(lambda: gr.Tabs(selected="dossier"), None, frame.tabs, **quiet)


TAB = Tab(NAME, "Review", build, styles=("review.css",))


def looked_at(session: Session) -> dict[str, Any]:
    """What the page is to show; `stamp` changes with the scan and the detection, `revision` with all else."""
    value = {name: getattr(session, name) for name in ("visitor", "run", "sample", "revision")}
    value["selection"] = list(session.selection)
    if not session.run:
        return {**value, "stamp": "", "flagged": False}
    try:
        opened = open_run(workspace_of(session.visitor).run_path(session.run))
        return {**value, "stamp": opened.stamp, "flagged": bool(opened.columns.flagged.any())}
    except ByeError as error:
        warn(error)
        return {**value, "run": "", "stamp": "", "flagged": False}


def decided(session: Session) -> Session:
    return replace(session, revision=session.revision + 1)


def opened(session: Session) -> Session:
    """What was to be shown is shown; a second click on the same point is then a change again."""
    return replace(session, sample="", selection=())
