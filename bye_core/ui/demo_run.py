"""Opens shipped runs as copies in the workspace, so that a review never changes the shipped ones."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from bye_core import runs
from bye_core.errors import RunError
from bye_core.files import ASSETS
from bye_core.ui.shared.space import check_space
from bye_core.ui.workspace import Workspace

DEMO = ASSETS / "demo"
NAME = "demo"
_copying = Lock()


class DamagedCopy(RunError):
    problem = "The folder {path} should hold a copy of a shipped run, but its run.json is missing."
    remedy = "Move the folder away and open the run again: it is copied anew. Your decisions are in decisions.jsonl."


@dataclass(frozen=True)
class Example:
    """A finished run that is shipped with its data set, but without the model, besides the demo.

    name   name of the run in a workspace, and key of its data set
    title  name of both on the pages
    about  what the set holds, for the list of runs
    """

    name: str
    title: str
    about: str
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data" / "data.json"

    @property
    def is_shipped(self) -> bool:
        return runs.is_run(self.folder / "run")


EXAMPLES = (
    Example("real-photographs", "Real photographs", "an example: photographs of clothing", ASSETS / "photographs"),
)


def has_demo() -> bool:
    return runs.is_run(DEMO / "run")


def shipped_runs() -> dict[str, Path]:
    """Return the folders of the shipped runs, by the names of their copies in a workspace."""
    return {NAME: DEMO / "run", **{example.name: example.folder / "run" for example in EXAMPLES}}


def open_demo(place: Workspace) -> str:
    """Copy the shipped demo run into the workspace unless the copy exists. Return its name.

    Raises: VisitorFull, HostFull or ManyVisitors if a public host has no space for it; DamagedCopy if a folder of its
    name is no run.
    """
    _copy(place, DEMO / "run", NAME)
    return NAME


def provide(place: Workspace, name: str | None) -> None:
    """Copy the shipped run `name` into the workspace unless the copy exists. Do nothing for all other names.

    Raises: as `open_demo`.
    """
    if name == NAME and has_demo():
        open_demo(place)
    for example in EXAMPLES:
        if example.name == name and example.is_shipped:
            _copy(place, example.folder / "run", name)


def _copy(place: Workspace, source: Path, name: str) -> None:
    path = place.runs / name
    with _copying:
        if not runs.is_run(path):
            if path.exists():
                raise DamagedCopy(path=path)
            check_space(place)
            unfinished = place.runs / f".{name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(source, unfinished)
            _complete_paths(unfinished)
            unfinished.rename(path)


def _complete_paths(run: Path) -> None:
    """Make the paths of model and data absolute; the shipped settings hold them relative to the repository."""
    settings = runs.Run.open(run).settings
    paths = {
        name: str(ASSETS.parent / path) for name in ("model", "adapter", "data") if (path := getattr(settings, name))
    }
    runs.edit_settings(run, **paths)


def run_to_open(place: Workspace, *wanted: str | None) -> str:
    """Return the first name in `wanted` that is a run of the workspace; else the demo, else the newest run, else ""."""
    for name in wanted:
        provide(place, name)
    names = place.run_names()
    name = next((name for name in wanted if name in names), "")
    if not name and has_demo():
        name = open_demo(place)
    return name or next(iter(names), "")
