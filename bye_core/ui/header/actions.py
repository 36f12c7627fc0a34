"""The handlers of the header: open tabs, runs and projects, and rename, delete and compare runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from bye_core.errors import ByeError
from bye_core.ui import demo_run, visitor
from bye_core.ui.header import runs as run_actions
from bye_core.ui.session import Session
from bye_core.ui.shared.messages import warn
from bye_core.ui.shared.project import open_data_in, open_run_in, projects
from bye_core.ui.tabs import TABS
from bye_core.ui.workspace import workspace_of

NAMES = (
    "tab",
    "statement",
    "run",
    "open",
    "project",
    "rename",
    "title",
    "remove",
    "compare",
    "differ",
    "other",
    "dismiss",
)
# What the handlers return: (session, tabs, header, comparison).
Shown = tuple[Any, Any, Any, Any]


def clicked(session: Session, event: gr.EventData) -> Shown:
    """Do what a button of the header, or a button elsewhere that names a tab or a statement, asks for."""
    asked = {name: str(getattr(event, name, None) or "") for name in NAMES}
    if not session.visitor:
        return gr.skip(), _tabs(asked["tab"]), gr.skip(), gr.skip()
    try:
        return _done(session, asked)
    except ByeError as error:
        warn(error)
        return gr.skip(), gr.skip(), visitor.show_header(session), gr.skip()


def _tabs(name: str) -> Any:
    return gr.Tabs(selected=name) if name in {tab.name for tab in TABS} else gr.skip()


def _done(session: Session, asked: dict[str, str]) -> Shown:
    workspace = workspace_of(session.visitor)
    if asked["compare"]:
        return gr.skip(), gr.skip(), gr.skip(), run_actions.comparison_html(workspace, session, asked["compare"])
    if asked["differ"]:
        ids = run_actions.differing(workspace, session, asked["other"], asked["differ"])
        return replace(session, selection=ids, sample=""), _tabs("review"), gr.skip(), gr.skip()
    if asked["dismiss"] == "compare":
        return gr.skip(), gr.skip(), gr.skip(), ""
    tab = _tabs(asked["tab"])
    if asked["statement"]:
        changed = visitor.detect_again(session, asked["run"], asked["statement"])
        # The header is sent again in any case, because its button was disabled at the click.
        return changed, tab, visitor.show_header(changed), gr.skip()
    changed = session
    if asked["dismiss"] == "welcome":
        changed = replace(session, first=False)
    elif asked["open"]:
        demo_run.provide(workspace, asked["open"])
        changed = open_run_in(workspace, session, asked["open"])
    elif asked["project"] in {project.key for project in projects(workspace)}:
        changed = open_data_in(workspace, session, asked["project"])
    elif asked["rename"]:
        changed = run_actions.rename_run(workspace, session, asked["rename"], asked["title"])
    elif asked["remove"]:
        changed = run_actions.delete_run(workspace, session, asked["remove"])
    if changed is session:
        return gr.skip(), tab, gr.skip(), gr.skip()
    # A comparison is about the run that was open.
    return changed, tab, gr.skip(), "" if changed.run != session.run else gr.skip()
