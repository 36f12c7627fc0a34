"""Opens the shipped demo run as a copy in the workspace, so that a review never changes the shipped one."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Lock

from bye_core import runs
from bye_core.files import ASSETS
from bye_core.ui.shared.space import check_space
from bye_core.ui.workspace import Workspace

DEMO = ASSETS / "demo"
NAME = "demo"
_copying = Lock()


def has_demo() -> bool:
    return runs.is_run(DEMO / "run")


def open_demo(place: Workspace) -> str:
    """Copy the shipped run into the workspace unless the copy exists. Return its name.

    Raises: VisitorFull, HostFull or ManyVisitors if a public host has no space for it.
    """
    path = place.runs / NAME
    with _copying:
        if not runs.is_run(path):
            check_space(place)
            unfinished = place.runs / f".{NAME}"
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(DEMO / "run", unfinished)
            _complete_paths(unfinished)
            unfinished.rename(path)
    return NAME


def _complete_paths(run: Path) -> None:
    """Make the paths of model and data absolute; the shipped settings hold them relative to the repository."""
    settings = runs.Run.open(run).settings
    paths = {name: str(ASSETS.parent / getattr(settings, name)) for name in ("model", "adapter", "data")}
    runs.edit_settings(run, **paths)


def run_to_open(place: Workspace, *wanted: str | None) -> str:
    """Return the first name in `wanted` that is a run of the workspace; else the demo, else the newest run, else ""."""
    names = place.run_names()
    name = next((name for name in wanted if name in names), "")
    if not name and has_demo():
        name = open_demo(place)
    return name or next(iter(names), "")
