"""Deletes what visitors of a public host have not used for long, and stops jobs that fill the disk."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from gradio.utils import get_upload_folder

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.runs import jobs
from bye_core.ui import demo_run
from bye_core.ui.shared.data_sets import LATEST
from bye_core.ui.shared.limits import limits
from bye_core.ui.shared.space import folder_size, forget_sizes, visitor_folders, visitors_folder
from bye_core.ui.workspace import hosted

CLEANING_SECONDS = 60.0
UNUSED_SECONDS = 600.0  # visitors who were here in this time keep their files, however full the disk is
WORK = ("decisions.jsonl", "checks.jsonl")  # files of a run to which a visitor or a job adds


def start_cleaning() -> threading.Event:
    """On a public host, clean up now and every minute in a thread. Setting the result ends the thread."""
    ended = threading.Event()

    def clean() -> None:
        while hosted():
            with suppress(OSError, ByeError):
                stop_jobs_without_space()
                clean_up()
            if ended.wait(CLEANING_SECONDS):
                return

    if hosted():
        threading.Thread(target=clean, name="cleaning", daemon=True).start()
    return ended


def clean_up(now: float | None = None) -> None:
    """Delete the files of visitors who are long gone, old uploads, and what an interrupted deletion left.

    If the disk is still full, also delete the files of visitors who are not here now: first of those who changed
    nothing, then of those who were here longest ago. Visitors with running jobs keep their files.
    """
    most, now = limits(), time.time() if now is None else now
    shutil.rmtree(_removed(), ignore_errors=True)
    unused = []
    for path in visitor_folders():
        if jobs.running(path / "jobs"):
            continue
        age, untouched = now - last_use(path), is_untouched(path)
        limit = most.idle_demo if untouched else most.idle
        if limit is not None and age > limit:
            remove(path)
        elif age > UNUSED_SECONDS:
            unused.append((not untouched, -age, path))
    if most.disk is not None:
        size = folder_size(visitors_folder())
        for _, _, path in sorted(unused):
            if size < most.disk:
                break
            size -= folder_size(path)
            remove(path)
    forget_sizes()
    if most.upload_age is not None:
        _remove_old(Path(get_upload_folder()), now - most.upload_age)


def stop_jobs_without_space() -> None:
    """Stop the jobs of visitors whose files take more space than allowed. They can be resumed after a removal."""
    most = limits().visitor_disk
    for root in visitor_folders() if most is not None else ():
        running = [job for job in jobs.list_jobs(root / "jobs") if job.state == jobs.RUNNING]
        if running and most is not None and folder_size(root) > most:
            for job in running:
                job.stop()


def last_use(path: Path) -> float:
    """Return when the visitor was here last: `workspace_of` sets the time of the folder."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def is_untouched(path: Path) -> bool:
    """Return whether a visitor's folder holds nothing but copies of shipped runs without decisions and checks."""
    try:
        entries = {f"{entry.name}/{inner.name}" for entry in path.iterdir() for inner in entry.iterdir()}
    except OSError:
        return False
    shipped = demo_run.shipped_runs()
    copies = {f"runs/{name}" for name in shipped} | {f"runs/.{name}" for name in shipped}
    if entries - copies - {f"data/{LATEST}"}:
        return False
    there = [(path / "runs" / name, folder) for name, folder in shipped.items() if f"runs/{name}" in entries]
    return all(_size(run / name) == _size(folder / name) for run, folder in there for name in WORK)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def remove(path: Path) -> None:
    """Delete the folder of a visitor. It disappears at once; an interrupted deletion ends at the next cleaning."""
    target = _removed() / path.name
    with suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    shutil.rmtree(target, ignore_errors=True)


def _removed() -> Path:
    return runs.home() / "removed"


def _remove_old(root: Path, before: float) -> None:
    """Delete the files below `root` that were changed before a time, and folders that are empty then."""
    emptied = set()
    for folder, _, names in os.walk(root, topdown=False):
        with suppress(OSError):
            if os.stat(folder).st_mtime < before:
                emptied.add(folder)
        for name in names:
            with suppress(OSError):
                if os.lstat(file := os.path.join(folder, name)).st_mtime < before:
                    os.unlink(file)
                    emptied.add(folder)
        with suppress(OSError):
            if folder in emptied - {str(root)}:
                os.rmdir(folder)  # fails if something is left
                emptied.add(os.path.dirname(folder))
