"""Builds the Review tab: shows one sample after another with the model's attention on it.

The page itself is assets/review.html with the scripts in assets/scripts/review/.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.figures import scale_stops
from bye_core.ui.open_run import open_run
from bye_core.ui.session import Frame, Session, Tab, Watcher
from bye_core.ui.shared.events import QUIET, SESSION, open_tab
from bye_core.ui.shared.messages import warn
from bye_core.ui.shared.sample_queue import BITS
from bye_core.ui.tabs.review.actions import SERVER_FUNCTIONS
from bye_core.ui.tabs.review.decisions import DECISION_FUNCTIONS
from bye_core.ui.tabs.review.inspection import INSPECTION_FUNCTIONS, KIND
from bye_core.ui.tabs.review.why import review_why
from bye_core.ui.web.first_screen import Screen
from bye_core.ui.workspace import workspace_of

NAME = "review"
STYLES = ("review.css",)
FIRST_SCREEN = Screen(NAME, "review.html", "review", STYLES)
# Gradio finds the events of the component in this text.
TAKE_OVER = "window.byeReview({ element, trigger, props, watch }); // triggers 'decided', 'opened', 'dossier'"


def build(frame: Frame, tab: gr.Tab) -> None:
    """Build the tab. It reads the session, writes session.revision after decisions, and saves decisions in the run.

    It clears session.sample and session.selection after the page has shown them.
    """
    page = gr.HTML(
        {},
        html_template="<div></div>",
        js_on_load=TAKE_OVER,
        apply_default_css=False,
        server_functions=[*SERVER_FUNCTIONS, *DECISION_FUNCTIONS, *INSPECTION_FUNCTIONS, review_why],
        elem_id=NAME,
        stops=scale_stops(),
        asked=frame.asked,
        bits=BITS,
    )
    session = frame.session
    frame.followers.append(Watcher(lambda session: {page: show(session)}, [session], [page]))
    page.decided(decided, session, session, **SESSION)
    page.opened(opened, session, session, **SESSION)
    page.dossier(open_tab("dossier"), None, frame.tabs, **QUIET)


TAB = Tab(NAME, "Review", build, STYLES, jobs={KIND: "asking the model about samples of"})


def show(session: Session) -> dict[str, Any]:
    """Return the values for the page. `stamp` changes with scan and detection, `revision` with other changes."""
    value = {name: getattr(session, name) for name in ("visitor", "run", "sample", "revision")}
    value["selection"] = list(session.selection)
    if not session.run:
        return {**value, "stamp": "", "flagged": False}
    try:
        run = open_run(workspace_of(session.visitor).run_path(session.run))
        return {**value, "stamp": run.stamp, "flagged": bool(run.columns.flagged.any())}
    except ByeError as error:
        warn(error)
        return {**value, "run": "", "stamp": "", "flagged": False}


def decided(session: Session) -> Session:
    return replace(session, revision=session.revision + 1)


def opened(session: Session) -> Session:
    """Clear the sample and selection that the page has shown, so that the same click counts as a change again."""
    return replace(session, sample="", selection=())
