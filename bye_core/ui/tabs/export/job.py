"""Exports of a workspace: written in the background, packed for download, found again after a reload. No gradio."""

from __future__ import annotations

import os
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterator
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
from bye_core.ui.shared import images
from bye_core.ui.shared.exports import NotExported, export_names, export_path, find_export
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import Workspace, hosted

MOST_EXPORTS = 3  # that a visitor of a public host may keep (ours)
# What is compressed already is stored as it is.
PACKED = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".parquet", ".arrow")
_workers = ThreadPoolExecutor(2, thread_name_prefix="export")
_running: dict[Path, Future] = {}
_packed: dict[Path, tuple[tuple, Path]] = {}
_lock = Lock()


class TooManyExports(SettingError):
    problem = "There is room for {most} exports of yours on this public demo, and all of it is used."
    remedy = "Give the name of an earlier one, which is then replaced: {names}."


class ExportRunning(RunError):
    problem = "An export named {name} is being written at this moment."
    remedy = "Wait until it is done."


def plan(run: runs.Run, data: str = "") -> tuple[ExportPlan, dict[str, Sample]]:
    """What an export would do now, and the samples it is about. `data`: where the set is now, if it has moved."""
    dataset = _dataset(run, data)
    pipeline.check_unchanged(run, dataset)
    return pipeline.plan_export(run, dataset), {sample.id: sample for sample in dataset.samples}


def _dataset(run: runs.Run, data: str) -> DataSet:
    _check_place(data)
    settings = run.settings
    if data:
        return pipeline.ready(data, settings.format, settings.more.get("columns"))
    return images.data_set(settings)


def _check_place(data: str) -> None:
    if data and hosted():
        raise NotHere(what="Naming a folder of the server", instead="Upload the data set in Data and scan it.")


def command(run_path: Path, out: Path, format: str, data: str = "") -> str:
    """The same export as a person would type it; on a public host with names in place of the server's folders."""
    run, target = (run_path.name, out.name) if hosted() else (str(run_path), str(out))
    arguments = ["--run", run, "--out", target]
    arguments += ["--format", format] if format != "same" else []
    arguments += ["--data", data] if data else []
    return command_line("export", arguments)


def start(place: Workspace, run_path: Path, name: str, format: str, data: str = "") -> Future:
    """Export in the background; the future's result is the manifest. It goes on when the page is closed.

    Raises BadName, ExportRunning, TooManyExports, NotHere.
    """
    out = export_path(place, name)
    _check_place(data)
    with _lock:
        if (future := _running.get(out)) and not future.done():
            raise ExportRunning(name=name)
        kept = export_names(place)
        if hosted() and name not in kept and len(kept) >= MOST_EXPORTS:
            raise TooManyExports(most=MOST_EXPORTS, names=", ".join(kept))
        future = _workers.submit(pipeline.export_run, run_path, out, format, data or None)
        _running[out] = future
    return future


def running(place: Workspace, name: str) -> Future | None:
    """The export of that name that is being written, None where none is."""
    future = _running.get(export_path(place, name))
    return future if future and not future.done() else None


def written(place: Workspace, name: str) -> int:
    """How many files the export that is being written has by now."""
    out = export_path(place, name)
    return sum(len(files) for part in out.parent.glob(f".{name}.*.new") for _, _, files in os.walk(part))


def pack(place: Workspace, name: str, cache: Path) -> Iterator[Progress]:
    """Write the export as a .zip below `cache`; the last item's facts hold its `path`.

    The archive lies in a folder with a secret name: whoever is not told it cannot ask for it. It is made once for
    every state of the export, and the one before is deleted. Raises NotExported.
    """
    found = find_export(place, name)
    if found is None:
        raise NotExported(name=name)
    stamp = _stamp(found.path)
    made, old = _packed.get(found.path, ((), None))
    if made == stamp and old and old.is_file():
        yield Progress("pack", 1, 1, "done", {"path": old})
        return
    folder = cache / secrets.token_hex(16)
    folder.mkdir(parents=True)
    target, done = folder / f"{name}.zip", False
    try:
        yield from write_zip(found.path, target, name)
        done = _stamp(found.path) == stamp
        if not done:
            raise ExportRunning(name=name)
    finally:
        if not done:
            shutil.rmtree(folder, ignore_errors=True)
    if old:
        shutil.rmtree(old.parent, ignore_errors=True)
    _packed[found.path] = stamp, target
    yield Progress("pack", 1, 1, "done", {"path": target})


def write_zip(folder: Path, target: Path, root: str) -> Iterator[Progress]:
    """All files of `folder`, in order of name, under `root` in the archive; one item a file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for done, path in enumerate(files, start=1):
            method = zipfile.ZIP_STORED if path.suffix.lower() in PACKED else zipfile.ZIP_DEFLATED
            archive.write(path, f"{root}/{path.relative_to(folder).as_posix()}", method)
            yield Progress("pack", done, len(files))


def _stamp(path: Path) -> tuple:
    found = (path / MANIFEST).stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def wait(future: Future, seconds: float) -> bool:
    """Whether it ended in time; its failure is not raised here."""
    deadline = time.monotonic() + seconds
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.05)
    return future.done()
