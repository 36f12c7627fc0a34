"""The server functions that ask the scanned model about one sample: its whole answers, and the maps of single heads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bye_core.figures import overlay_payload
from bye_core.records import IMAGE, Inspection
from bye_core.runs import jobs
from bye_core.runs.inspections import load_inspection
from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared import data_sets, workspace_jobs
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.shared.messages import discreet
from bye_core.ui.shared.sample_evidence import short
from bye_core.ui.tabs.review import answers
from bye_core.ui.tabs.review.actions import asked_position, asked_positions, asked_run
from bye_core.ui.web import page_calls
from bye_core.ui.web.page_calls import BadRequest, Request, json_answer
from bye_core.ui.workspace import Workspace, hosted, workspace_of

KIND = "inspect"
MOST = 24  # samples of one request


@json_answer
def review_inspection(request: Request) -> dict[str, Any]:
    """Return the model's answers to one sample, if it was asked, and the state of the job that asks it.

    request: position
    """
    opened = asked_run(request)
    sample = opened.samples[asked_position(opened, request)]
    found = load_inspection(opened.path, sample.id)
    job = _job(workspace_of(page_calls.text(request, "visitor")), opened)
    failed = job.error() if job and found is None else None
    return {
        "answers": _answers(found) if found else None,
        "running": job is not None and job.state == jobs.RUNNING,
        "failure": {"problem": discreet(failed.problem), "remedy": discreet(failed.remedy)} if failed else None,
        "can_ask": not hosted(),
    }


def _answers(found: Inspection) -> dict[str, Any]:
    texts = {"answer": found.answer, "before": found.answer_before}
    return {
        **{name: None if text is None else short(text) for name, text in texts.items()},
        "fault": found.fault,
        "heads": found.rows is not None,
    }


@json_answer
def review_inspect(request: Request) -> dict[str, Any]:
    """Start the job that asks the model about samples. request: positions, at most MOST."""
    opened = asked_run(request)
    if hosted():
        raise NotHere(what="Asking the model about a sample", instead="Run the app on your own machine.")
    workspace = workspace_of(page_calls.text(request, "visitor"))
    ids = [opened.samples[position].id for position in asked_positions(opened, request, MOST)]
    if not ids:
        raise BadRequest(what="no samples")
    running = _job(workspace, opened)
    if running is None or running.state != jobs.RUNNING:
        for earlier in jobs.list_jobs(workspace.jobs, KIND):
            if earlier.state != jobs.RUNNING:
                earlier.remove()
        name = data_sets.free_folder(workspace.jobs, f"{opened.path.name}-inspect").name
        options = ["--run", str(opened.path), *(f"--id={id}" for id in ids)]
        workspace_jobs.start_job(workspace, name, KIND, options, title=opened.path.name)
    return {"asked": len(ids)}


def _job(workspace: Workspace, opened: OpenRun) -> jobs.Job | None:
    """Return the run's newest job that asks about samples."""
    name = opened.path.name
    return next((job for job in jobs.list_jobs(workspace.jobs, KIND) if job.title == name), None)


@json_answer
def review_head(request: Request) -> dict[str, Any]:
    """Return the numbers of one head on a sample, and its attention as figures.overlay_payload of a single layer.

    request: position, layer, head. `heat` is None if the model was not asked about the sample.
    """
    opened, table = asked_run(request), asked_run(request).table
    position = asked_position(opened, request)
    row, sample = opened.row(position), opened.samples[position]
    if table.entropy is None or table.peak is None or table.mass is None:
        raise BadRequest(what="a run without numbers of heads")
    layer = page_calls.index(request.get("layer"), table.entropy.shape[1], "an unknown layer")
    head = page_calls.index(request.get("head"), table.entropy.shape[2], "an unknown head")
    at = (row, layer, head)
    numbers = {"entropy": table.entropy[at], "peak": table.peak[at], "mass": table.mass[(*at, IMAGE)]}
    return {
        **{name: answers.number(value) for name, value in numbers.items()},
        "heat": _head_map(opened, load_inspection(opened.path, sample.id), layer, head),
    }


def _head_map(opened: OpenRun, found: Inspection | None, layer: int, head: int) -> dict[str, Any] | None:
    if found is None or found.rows is None or layer >= found.rows.shape[0] or head >= found.rows.shape[1]:
        return None
    rows = found.rows[layer, head][None].astype(np.float32)
    return overlay_payload(replace(opened.run.rows(found.id), rows=rows, grids=found.grids))


INSPECTION_FUNCTIONS = [review_inspection, review_inspect, review_head]
