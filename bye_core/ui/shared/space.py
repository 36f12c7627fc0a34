"""Measures the disk space of visitors on a public host, and refuses more when it is used up.

bye_core.ui.shared.cleaning deletes what nobody has used for long. On the user's own machine there are no such limits.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cachetools import TTLCache

from bye_core import runs
from bye_core.errors import SettingError
from bye_core.runs import jobs
from bye_core.ui.shared.limits import GB, MB, limits
from bye_core.ui.workspace import Workspace, hosted, is_token

MEASURED_SECONDS = 5.0  # for so long a measured size is used again
_sizes: TTLCache[Path, int] = TTLCache(4096, MEASURED_SECONDS)
_arrivals: deque[float] = deque()
_lock = threading.Lock()


class VisitorFull(SettingError):
    problem = "Your files take {size} here; this public demo keeps at most {most} for a visitor."
    remedy = "Remove a data set in Data, or run the app on your own machine, which has no such limit."


class HostFull(SettingError):
    problem = "The disk of this public demo is full."
    remedy = "Try again later, or run the app on your own machine."


class ManyVisitors(SettingError):
    problem = "Too many visitors came to this public demo within a minute."
    remedy = "Reload the page in a minute."


def visitors_folder() -> Path:
    return runs.home() / "visitors"


def visitor_folders() -> list[Path]:
    """Return the folders of all visitors."""
    root = visitors_folder()
    return [path for path in root.iterdir() if is_token(path.name)] if root.is_dir() else []


def jobs_folders() -> Iterator[Path]:
    """Return the job folders of all visitors."""
    return (path / "jobs" for path in visitor_folders())


def folder_size(path: Path) -> int:
    """Return the bytes that the files below `path` take on the disk. Links are not followed."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                status = os.lstat(os.path.join(folder, name))
                size += getattr(status, "st_blocks", 0) * 512 or status.st_size
    return size


def measured_size(path: Path) -> int:
    """Return `folder_size` as it was at most MEASURED_SECONDS ago."""
    with _lock:
        size = _sizes.get(path)
    if size is None:
        size = folder_size(path)
        with _lock:
            _sizes[path] = size
    return size


def forget_sizes() -> None:
    """Measure all folders again at the next check."""
    with _lock:
        _sizes.clear()


def check_space(workspace: Workspace) -> None:
    """Check whether more files may be written for this visitor.

    Raises: VisitorFull if the visitor's files take the most space allowed; HostFull if those of all visitors do;
    ManyVisitors if the visitor is new and too many came within a minute.
    """
    most = limits()
    if most.visitor_disk is not None and (size := measured_size(workspace.root)) >= most.visitor_disk:
        raise VisitorFull(size=_words(size), most=_words(most.visitor_disk))
    if most.disk is not None and measured_size(visitors_folder()) >= most.disk:
        raise HostFull()
    if hosted() and most.visitors is not None and not workspace.root.exists():
        _count_arrival(most.visitors)


def _count_arrival(most: int) -> None:
    now = time.monotonic()
    with _lock:
        while _arrivals and _arrivals[0] < now - 60:
            _arrivals.popleft()
        if len(_arrivals) >= most:
            raise ManyVisitors()
        _arrivals.append(now)


def make_room(name: str, size: int) -> None:
    """Delete what was used longest ago of everything from the hub, until `size` more bytes may be kept for `name`.

    What running jobs name stays. Raises: HostFull if there is too little room.
    """
    most = limits().hub_cache
    if most is None:
        return
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        kept = scan_cache_dir()
    except CacheNotFound:
        return
    running = [job for root in jobs_folders() for job in jobs.list_jobs(root) if job.state == jobs.RUNNING]
    needed = {name, *(argument for job in running for argument in job.arguments)}
    used = kept.size_on_disk
    for repo in sorted(kept.repos, key=lambda repo: repo.last_accessed):
        if used + size > most and repo.repo_id not in needed:
            kept.delete_revisions(*(revision.commit_hash for revision in repo.revisions)).execute()
            used -= repo.size_on_disk
    if used + size > most and name not in {repo.repo_id for repo in kept.repos}:
        raise HostFull()


def _words(size: int) -> str:
    return f"{size / GB:,.1f} GB" if size >= GB else f"{size / MB:,.0f} MB"
