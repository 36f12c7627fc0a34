"""The exports of a workspace. No gradio."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bye_core.data.export import MANIFEST, is_export
from bye_core.errors import RunError, SettingError
from bye_core.ui.workspace import Workspace

FOLDER = "exports"

FIRST_LINES, LONGEST_LINE = 8, 1000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


class BadName(SettingError):
    problem = "{name!r} cannot be the name of an export."
    remedy = "Use letters, digits, - and _, beginning with a letter or digit, at most 80 of them."


class NotExported(RunError):
    problem = "There is no export named {name} yet."
    remedy = "Export first."


@dataclass(frozen=True)
class Export:
    """A finished export; `manifest` is what is written in it."""

    name: str
    path: Path
    manifest: dict[str, Any]

    @property
    def first_removed(self) -> str:
        """The first lines of removed.jsonl, the very long ones cut."""
        with (self.path / "removed.jsonl").open(encoding="utf-8") as file:
            lines = [line.rstrip("\n") for _, line in zip(range(FIRST_LINES), file, strict=False)]
        return "\n".join(line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ..." for line in lines)


def export_path(place: Workspace, name: str) -> Path:
    """Raises BadName: a name that is no plain folder name never leads out of the workspace."""
    if not _NAME.fullmatch(name or ""):
        raise BadName(name=name)
    return place.root / FOLDER / name


def find_export(place: Workspace, name: str) -> Export | None:
    """The export of that name, None where there is none."""
    path = export_path(place, name)
    if not is_export(path):
        return None
    return Export(name, path, json.loads((path / MANIFEST).read_bytes()))


def export_names(place: Workspace) -> tuple[str, ...]:
    """Newest first."""
    root = place.root / FOLDER
    found = [path for path in root.iterdir() if _NAME.fullmatch(path.name) and is_export(path)] if root.is_dir() else []
    return tuple(path.name for path in sorted(found, key=lambda path: (-path.stat().st_mtime, path.name)))
