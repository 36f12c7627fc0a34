"""The shipped demo's finished run, opened as a copy of one's own: reviewing it never changes what is shipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Lock

from bye_core import runs
from bye_core.files import ASSETS
from bye_core.ui import demo_run
from bye_core.ui.workspace import Workspace

DEMO = ASSETS / "demo"
NAME = "demo"
_copying = Lock()


def has_demo() -> bool:
    return runs.is_run(DEMO / "run")


def open_demo(place: Workspace) -> str:
    """Copy the shipped run into the workspace, once; returns its name there."""
    path = place.runs / NAME
    with _copying:
        if not runs.is_run(path):
            unfinished = place.runs / f".{NAME}"
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(DEMO / "run", unfinished)
            _point_home(unfinished / "run.json")
            unfinished.rename(path)
    return NAME


def _point_home(settings: Path) -> None:
    """The shipped settings name model and data as seen from the repository; here they are found from anywhere."""
    record = json.loads(settings.read_text(encoding="utf-8"))
    root = ASSETS.parent
    for name in ("model", "adapter", "data"):
        record[name] = str(root / record[name])
    settings.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def run_to_open(place: Workspace, *wanted: str | None) -> str:
    """The first of `wanted` that is a run here, else the shipped demo, else the newest; "" where there is none."""
    names = place.run_names()
    name = next((name for name in wanted if name in names), "")
    if not name and demo_run.has_demo():
        name = demo_run.open_demo(place)
    return name or next(iter(names), "")
