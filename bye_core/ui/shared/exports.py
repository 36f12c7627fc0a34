"""Finds the exports of a workspace by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bye_core.data.export import MANIFEST, is_export
from bye_core.errors import RunError, SettingError
from bye_core.runs import RunSettings
from bye_core.ui.workspace import Workspace, is_folder_name

FOLDER = "exports"
FIRST_LINES, LONGEST_LINE = 8, 1000
SAME_RUN = ("created", "data_digest", "model_digest")  # settings that identify the run of an export


class BadName(SettingError):
    problem = "{name!r} cannot be the name of an export."
    remedy = "Use letters, digits, - and _. Begin with a letter or digit, and use at most 80 characters."


class NotExported(RunError):
    problem = "The export {name} does not exist yet."
    remedy = "Export the data set first."


@dataclass(frozen=True)
class Export:
    """A finished export: its name, its folder and `manifest`, the content of manifest.json."""

    name: str
    path: Path
    manifest: dict[str, Any]

    @property
    def first_removed(self) -> str:
        """The first lines of removed.jsonl. Very long lines are shortened."""
        with (self.path / "removed.jsonl").open(encoding="utf-8") as file:
            lines = [line.rstrip("\n") for _, line in zip(range(FIRST_LINES), file, strict=False)]
        return "\n".join(line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ..." for line in lines)


def export_path(workspace: Workspace, name: str) -> Path:
    """Return the folder of the export `name`. Raises: BadName if the name is not a plain folder name."""
    if not is_folder_name(name):
        raise BadName(name=name)
    return workspace.root / FOLDER / name


def find_export(workspace: Workspace, name: str) -> Export | None:
    """Return the export `name`, None if it does not exist. Raises: BadName if the name is not a plain folder name."""
    path = export_path(workspace, name)
    if not is_export(path):
        return None
    return Export(name, path, json.loads((path / MANIFEST).read_bytes()))


def newest_export(workspace: Workspace, settings: RunSettings) -> str:
    """Return the name of the newest export of the run with these settings, "" if there is none."""
    for name in export_names(workspace):
        export = find_export(workspace, name)
        source = export.manifest.get("run") if export else None
        if isinstance(source, dict) and all(source.get(key) == getattr(settings, key) for key in SAME_RUN):
            return name
    return ""


def export_names(workspace: Workspace) -> tuple[str, ...]:
    """Return the names of all exports, newest first."""
    root = workspace.root / FOLDER
    paths = [path for path in root.iterdir() if is_folder_name(path.name) and is_export(path)] if root.is_dir() else []
    return tuple(path.name for path in sorted(paths, key=lambda path: (-path.stat().st_mtime, path.name)))
