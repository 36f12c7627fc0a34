"""Chooses the default folders of runs and jobs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from bye_core.runs.errors import RunNotWritable
from bye_core.runs.run import is_run
from bye_core.text import folder_name


def home() -> Path:
    """Return the folder in the environment variable BYE_HOME, by default the user's data folder."""
    chosen = os.environ.get("BYE_HOME")
    return Path(chosen).expanduser().resolve() if chosen else user_data_path("bye", appauthor=False)


def hosted() -> bool:
    """Return whether this is a public host: BYE_HOSTED=1, or a Hugging Face Space without BYE_HOSTED=0.

    On a public host, pages show no server paths and only the visitor's own runs, the size of jobs is limited, and
    nothing of a data set is kept outside the visitor's folder.
    """
    return os.environ.get("BYE_HOSTED", os.environ.get("SPACE_ID", "")) not in ("", "0")


def runs_folder() -> Path:
    return home() / "runs"


def jobs_folder() -> Path:
    return home() / "jobs"


def new_run_path(name: str) -> Path:
    """Create and return an empty folder for a new run. No two callers get the same folder."""
    return _new_folder(runs_folder(), name, "run")


def new_job_path(name: str) -> Path:
    """Create and return an empty folder for a new background job. No two callers get the same folder."""
    return _new_folder(jobs_folder(), name, "job")


def _new_folder(root: Path, name: str, default: str) -> Path:
    stem = folder_name(name, default)
    try:
        root.mkdir(parents=True, exist_ok=True)
        path, number = root / stem, 1
        while not _create(path):
            number += 1
            path = root / f"{stem}-{number}"
    except OSError as error:
        raise RunNotWritable(path=root, reason=error.strerror) from error
    return path


def _create(path: Path) -> bool:
    """Create the folder; return False if it already exists."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def list_runs() -> tuple[Path, ...]:
    """Return the run folders in `runs_folder`, newest first."""
    if not runs_folder().is_dir():
        return ()
    found = [path for path in runs_folder().iterdir() if is_run(path)]
    return tuple(sorted(found, key=lambda path: (-path.stat().st_mtime, path.name)))
