"""Writes the exports of a workspace in the background and packs them for download."""

from __future__ import annotations

import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from bye_core import pipeline, runs
from bye_core.data import DataSet
from bye_core.data.export import MANIFEST
from bye_core.errors import RunError, SettingError
from bye_core.pipeline import ExportPlan
from bye_core.records import Progress, Sample
from bye_core.runs.jobs import command_line
from bye_core.ui.session import Session
from bye_core.ui.shared import images
from bye_core.ui.shared.exports import NotExported, export_names, export_path, find_export
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.shared.space import check_space
from bye_core.ui.workspace import Workspace, hosted

PROGRAM = """\
# pip install gradio_client; replace ADDRESS by the address of this page
from gradio_client import Client

client = Client("ADDRESS")
detection = client.predict({run}api_name="/detect")
manifest = client.predict({run}archive=True, api_name="/export")
"""
MOST_EXPORTS = 3  # the most exports that one visitor may store on a public host (ours)
# Endings of compressed files, which the archive stores without compressing them again.
COMPRESSED = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".parquet", ".arrow")
_workers = ThreadPoolExecutor(2, thread_name_prefix="export")
_running: dict[Path, Future] = {}
_packed: dict[Path, tuple[tuple, Path]] = {}
_lock = Lock()


class TooManyExports(SettingError):
    problem = "You have {most} exports, which is the limit of this public demo."
    remedy = "Enter the name of an earlier export to replace that export: {names}."


class ExportRunning(RunError):
    problem = "The export {name} is being written."
    remedy = "Wait until the export is finished."


def plan(run: runs.Run, data: str = "") -> tuple[ExportPlan, Mapping[str, Sample]]:
    """Return (what an export would do now, the samples by id). `data` is the set's new path if the set was moved."""
    dataset = _dataset(run, data)
    pipeline.check_unchanged(run, dataset)
    return pipeline.plan_export(run, dataset), dataset.by_id


def _dataset(run: runs.Run, data: str) -> DataSet:
    _check_path(data)
    settings = run.settings
    if data:
        return pipeline.reopen_set(settings, data)
    return images.data_set(settings)


def _check_path(data: str) -> None:
    if data and hosted():
        raise NotHere(what="Naming a folder of the server", instead="Upload the data set in Data and scan it.")


def command(run_path: Path, out: Path, format: str, data: str = "") -> str:
    """Return the export as a command. On a public host, names replace the paths of the server's folders in it."""
    run, target = (run_path.name, out.name) if hosted() else (str(run_path), str(out))
    arguments = ["--run", run, "--out", target]
    arguments += ["--format", format] if format != "same" else []
    arguments += ["--data", data] if data else []
    return command_line("export", arguments)


def program(session: Session) -> str:
    """Return Python code that calls the export. On a public host, the code contains the visitor's token."""
    names = {"run": session.run, **({"visitor": session.visitor} if hosted() else {})}
    return PROGRAM.format(run="".join(f"{name}={value!r}, " for name, value in names.items()))


def start(workspace: Workspace, run_path: Path, name: str, format: str, data: str = "") -> Future:
    """Export in a background thread. The future's result is the manifest. Closing the page does not stop the export.

    Raises: BadName if the name is not a plain folder name; ExportRunning if this export is being written;
    TooManyExports if the visitor has the most exports allowed; VisitorFull or HostFull if a public host has no space;
    NotHere if `data` is given on a public host.
    """
    out = export_path(workspace, name)
    _check_path(data)
    check_space(workspace)
    with _lock:
        if (future := _running.get(out)) and not future.done():
            raise ExportRunning(name=name)
        kept = export_names(workspace)
        if hosted() and name not in kept and len(kept) >= MOST_EXPORTS:
            raise TooManyExports(most=MOST_EXPORTS, names=", ".join(kept))
        future = _workers.submit(pipeline.export_run, run_path, out, format, data or None)
        _running[out] = future
    return future


def running(workspace: Workspace, name: str) -> Future | None:
    """Return the future of the export `name` while the export is being written, else None."""
    future = _running.get(export_path(workspace, name))
    return future if future and not future.done() else None


def written(workspace: Workspace, name: str) -> int:
    """Return how many files a running export has written so far."""
    out = export_path(workspace, name)
    return sum(len(files) for part in out.parent.glob(f".{name}.*.new") for _, _, files in os.walk(part))


def pack(workspace: Workspace, name: str, cache: Path) -> Iterator[Progress]:
    """Write the export as a .zip below `cache`. The facts of the last Progress hold the `path` of the .zip.

    The archive's folder has a secret name, so that only the visitor who gets the path can download it. An unchanged
    export is packed only once, and an outdated archive is deleted.
    Raises: NotExported if there is no such export; ExportRunning if the export changes while it is packed.
    """
    export = find_export(workspace, name)
    if export is None:
        raise NotExported(name=name)
    stamp = _stamp(export.path)
    packed_stamp, old = _packed.get(export.path, ((), None))
    if packed_stamp == stamp and old and old.is_file():
        yield Progress("pack", 1, 1, "done", {"path": old})
        return
    folder = cache / secrets.token_hex(16)
    folder.mkdir(parents=True)
    target, done = folder / f"{name}.zip", False
    try:
        yield from write_zip(export.path, target, name)
        done = _stamp(export.path) == stamp
        if not done:
            raise ExportRunning(name=name)
    finally:
        if not done:
            shutil.rmtree(folder, ignore_errors=True)
    if old:
        shutil.rmtree(old.parent, ignore_errors=True)
    _packed[export.path] = stamp, target
    yield Progress("pack", 1, 1, "done", {"path": target})


def write_zip(folder: Path, target: Path, root: str) -> Iterator[Progress]:
    """Write all files of `folder`, sorted by name, to the archive `target` under the folder name `root`.

    Yield a Progress after each file.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for done, path in enumerate(files, start=1):
            method = zipfile.ZIP_STORED if path.suffix.lower() in COMPRESSED else zipfile.ZIP_DEFLATED
            archive.write(path, f"{root}/{path.relative_to(folder).as_posix()}", method)
            yield Progress("pack", done, len(files))


def _stamp(path: Path) -> tuple:
    status = (path / MANIFEST).stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def wait(future: Future, seconds: float) -> bool:
    """Wait at most `seconds` and return whether the future has ended. An error of the future is not raised."""
    deadline = time.monotonic() + seconds
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.05)
    return future.done()
