"""The handlers that write files of the open run: its flagged samples as CSV, and the report as one HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from bye_core import pipeline
from bye_core.errors import RunError
from bye_core.reports.sample_csv import write_samples
from bye_core.ui.open_run import OpenRun
from bye_core.ui.session import Session
from bye_core.ui.shared.events import Update
from bye_core.ui.shared.messages import discreet, note
from bye_core.ui.shared.steps import until_end
from bye_core.ui.tabs.explore.actions import Parts, opened_run


class NothingFlagged(RunError):
    problem = "No sample of this run is flagged, so there is nothing to write."
    remedy = "Find suspicious samples in Layers, or choose another method in Detectors."


def flagged_csv(opened: OpenRun, heads: bool, folder: Path) -> Path:
    """Write the flagged samples, most suspicious first, to a CSV file in `folder`. Return its path.

    Raises: NothingFlagged.
    """
    order = opened.columns.suspicious_order
    rows = order[opened.columns.flagged[order]]
    if not len(rows):
        raise NothingFlagged()
    path = folder / f"{opened.path.name}-flagged.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_samples(file, opened.table, np.asarray(rows).tolist(), opened.detection, opened.decisions(), heads)
    return path


def report_page(opened: OpenRun, folder: Path) -> Path:
    """Write the report on the run to an HTML file in `folder`, without paths of a public host. Return its path.

    Raises: NothingDetected if the run has no detection.
    """
    path = folder / f"{opened.path.name}-report.html"
    with TemporaryDirectory() as place:
        pipeline.report(opened.path, Path(place) / path.name)
        page = (Path(place) / path.name).read_text(encoding="utf-8")
    path.write_text(discreet(page), encoding="utf-8")
    return path


def download_csv(parts: Parts, session: Session, heads: bool) -> Iterator[Update]:
    """Write the CSV file and offer it."""

    def steps() -> Iterator[Update]:
        yield _begin(parts, "Writing the numbers of the flagged samples ...")
        yield _offer(parts, flagged_csv(opened_run(session), heads, Path(get_upload_folder())))

    yield from until_end(steps(), _end(parts), parts.status)


def download_report(parts: Parts, session: Session) -> Iterator[Update]:
    """Write the report and offer it."""

    def steps() -> Iterator[Update]:
        yield _begin(parts, "Writing the report. Reading the evidence of a large run takes a minute ...")
        yield _offer(parts, report_page(opened_run(session), Path(get_upload_folder())))

    yield from until_end(steps(), _end(parts), parts.status)


def _begin(parts: Parts, words: str) -> Update:
    return {
        parts.status: note(words), parts.save: gr.DownloadButton(value=None, visible=False),
        parts.csv: gr.Button(interactive=False), parts.report: gr.Button(interactive=False),
    }  # fmt: skip


def _offer(parts: Parts, path: Path) -> Update:
    size = path.stat().st_size
    words = f"{size / 2**20:,.1f} MB" if size >= 2**20 else f"{max(1, size // 1024):,} kB"
    return {parts.status: "", parts.save: gr.DownloadButton(f"Save {path.name} ({words})", value=path, visible=True)}


def _end(parts: Parts) -> Update:
    return {parts.csv: gr.Button(interactive=True), parts.report: gr.Button(interactive=True)}
