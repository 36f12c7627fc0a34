"""Saves the views of a run under names of the user, in the visitor's workspace. No gradio."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bye_core.errors import RunError, SettingError
from bye_core.files import write_atomic
from bye_core.text import clip
from bye_core.ui.tabs.explore.filters import View, view_of
from bye_core.ui.workspace import Workspace

FOLDER = "views"
LONGEST_NAME, MOST = 60, 50


class NoName(SettingError):
    problem = "The view has no name."
    remedy = "Enter a name for the view, then save it."


class TooManyViews(SettingError):
    problem = "This run has {count} saved views, which is the most."
    remedy = "Delete one of them first."


class CannotSaveView(RunError):
    problem = "The view cannot be saved: {reason}."
    remedy = "Free some space, or check the rights of the workspace."


def load(place: Workspace, run: str) -> dict[str, View]:
    """Return the saved views of a run by name. An unreadable file counts as empty."""
    try:
        content: Any = json.loads(_path(place, run).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = content.items() if isinstance(content, dict) else ()
    return {name: view_of(record) for name, record in pairs if isinstance(record, dict)}


def save(place: Workspace, run: str, name: str, view: View) -> str:
    """Save a view; a view of the same name is replaced. Return the name.

    Raises: NoName; TooManyViews; CannotSaveView if the workspace cannot be written.
    """
    name = clip(" ".join(name.split()), LONGEST_NAME)
    views = load(place, run)
    if not name:
        raise NoName()
    if name not in views and len(views) >= MOST:
        raise TooManyViews(count=MOST)
    _write(place, run, {**views, name: view})
    return name


def delete(place: Workspace, run: str, name: str) -> None:
    """Delete a view, if it exists. Raises: CannotSaveView if the workspace cannot be written."""
    views = load(place, run)
    if views.pop(name, None) is not None:
        _write(place, run, views)


def _write(place: Workspace, run: str, views: dict[str, View]) -> None:
    path = _path(place, run)
    content = json.dumps({name: view.record() for name, view in views.items()}, indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content.encode("ascii"))
    except OSError as error:
        raise CannotSaveView(reason=error.strerror or error) from error


def _path(place: Workspace, run: str) -> Path:
    return place.root / FOLDER / f"{place.run_path(run).name}.json"
