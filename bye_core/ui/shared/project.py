"""The project that every tab speaks of: one data set and its runs. Opening a run opens its set, and the other way.

The rule (docs/architecture.md): an open run decides the data set. A loaded set opens its newest run; if it has none, it
closes the run of another set. Nothing on disk changes, so the header can offer the way back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bye_core.errors import ByeError
from bye_core.ui.session import Session
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.data_sets import Choice
from bye_core.ui.shared.run_facts import RunFacts, run_facts
from bye_core.ui.workspace import Workspace, hosted, is_folder_name

MOST_RUNS = 100  # the newest runs, in which the runs of a data set are looked for


@dataclass(frozen=True)
class Project:
    """A data set of the workspace and its runs, newest first. `key` is the key of the set (see Choice)."""

    key: str
    name: str
    runs: tuple[RunFacts, ...] = ()


def key_of_run(workspace: Workspace, facts: RunFacts) -> str:
    """Return the key of the data set of a run; "" if a public host may not show where the set is."""
    known = [*map(Choice, data_sets.SHIPPED), *data_sets.recent(workspace)]
    if found := next((choice.key for choice in known if _is_of(workspace, choice, facts)), ""):
        return found
    path = Path(facts.data)
    with_folder = path.parent if path.suffix else path
    if with_folder.parent == workspace.data and is_folder_name(with_folder.name):
        return with_folder.name
    if not facts.data or data_sets.is_remote(facts.data):
        return facts.data
    return "" if hosted() else os.path.abspath(facts.data)


def _is_of(workspace: Workspace, choice: Choice, facts: RunFacts) -> bool:
    """Return whether the run scanned the data set `choice`."""
    if choice.digest and choice.digest == facts.digest:
        return True
    try:
        path = data_sets.path_of(workspace, choice)
    except ByeError:
        return False
    return bool(path) and path == facts.data


def all_runs(workspace: Workspace) -> Iterator[RunFacts]:
    """Yield the facts of the newest runs that can be read, newest first."""
    for name in workspace.run_names()[:MOST_RUNS]:
        facts = run_facts(workspace.runs / name)
        if not facts.problem:
            yield facts


def projects(workspace: Workspace) -> tuple[Project, ...]:
    """Return all projects: those with the newest runs first, then the recent sets without a run."""
    runs: dict[str, list[RunFacts]] = {}
    for facts in all_runs(workspace):
        runs.setdefault(key_of_run(workspace, facts), []).append(facts)
    keys = dict.fromkeys([*runs, *(choice.key for choice in data_sets.recent(workspace))])
    return tuple(Project(key, name_of(key), tuple(runs.get(key, ()))) for key in keys)


def name_of(key: str) -> str:
    """Return the short name of the project with the data set `key`."""
    return Choice(key).name if key else "unknown set"


def open_run_in(workspace: Workspace, session: Session, name: str) -> Session:
    """Return the session after the run `name` and its data set are opened.

    Raises: NoSuchRun if the run is not in the workspace.
    """
    facts = run_facts(workspace.run_path(name))
    if name == session.run and session.data:
        return replace(session, revision=session.revision + 1, closed="", unknown="")
    return replace(
        session, run=name, data=key_of_run(workspace, facts), truth="", sample="", selection=(), closed="", unknown="",
        revision=session.revision + 1,
    )  # fmt: skip


def open_data_in(workspace: Workspace, session: Session, key: str) -> Session:
    """Return the session after the data set `key` is loaded. A run of another set gives way to the newest of this set.

    `Session.closed` then names the run that was closed.
    """
    if key == session.data:
        return session
    run, choice = session.run, data_sets.find(workspace, key) if key else Choice("")
    if run and key and _is_of(workspace, choice, run_facts(workspace.run_path(run))):
        return replace(session, data=key)
    newest = next((facts.name for facts in all_runs(workspace) if key and _is_of(workspace, choice, facts)), "")
    return replace(
        session, data=key, run=newest, truth="", sample="", selection=(), closed=run, unknown="",
        revision=session.revision + 1,
    )  # fmt: skip
