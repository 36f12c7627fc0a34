"""Finds the folders of a visitor's workspace. On the user's own machine, all pages share one workspace."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from bye_core import runs
from bye_core.errors import RunError
from bye_core.runs.home import hosted

TOKEN_BYTES = 16
USE_SECONDS, MOST_USED = 60.0, 10_000
_used: dict[Path, float] = {}
_TOKEN = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


class NoSuchRun(RunError):
    problem = "The run {name} does not exist here."
    remedy = "Choose a run from the list, or open the demo."


def new_token() -> str:
    """Return a random 128-bit token as hexadecimal text. It is the visitor's only credential."""
    return secrets.token_hex(TOKEN_BYTES)


def is_token(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def is_folder_name(value: str | None) -> bool:
    """Return whether `value` is a plain folder name, without separators or ".."."""
    return _NAME.fullmatch(value or "") is not None


@dataclass(frozen=True)
class Workspace:
    """The folders of one visitor. A name sent by a page cannot give access to other folders."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    def run_path(self, name: str) -> Path:
        """Return the folder of a run. Raises: NoSuchRun if no run has that name or it is not a plain folder name."""
        path = self.runs / name if is_folder_name(name) else None
        if path is None or not runs.is_run(path):
            raise NoSuchRun(name=name or "(none)")
        return path

    def run_names(self) -> tuple[str, ...]:
        """Return the names of all runs, newest first."""
        if not self.runs.is_dir():
            return ()
        paths = [path for path in self.runs.iterdir() if runs.is_run(path)]
        return tuple(path.name for path in sorted(paths, key=lambda path: (-path.stat().st_mtime, path.name)))


def workspace_of(visitor: str) -> Workspace:
    """Return the workspace of a visitor: the visitor's folder on a public host, else BYE_HOME itself.

    Raises: NoSuchRun if `visitor` is not a valid token on a public host.
    """
    if not hosted():
        return Workspace(runs.home())
    if not is_token(visitor):
        raise NoSuchRun(name="(no visitor)")
    root = runs.home() / "visitors" / visitor
    _note_use(root)
    return Workspace(root)


def _note_use(root: Path) -> None:
    """Set the time of a visitor's folder to now, at most once a minute. Folders that nobody uses are deleted by it."""
    now = time.monotonic()
    if now - _used.get(root, -USE_SECONDS) < USE_SECONDS:
        return
    if len(_used) >= MOST_USED:
        _used.clear()
    with suppress(OSError):  # a new visitor has no folder yet
        os.utime(root)
        _used[root] = now
