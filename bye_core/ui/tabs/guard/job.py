"""A picture and a question held against the open run: the job that asks the model, and what came of it. No gradio."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bye_core import figures, runs
from bye_core.data.images import decode, read_bytes
from bye_core.detect import value_label
from bye_core.errors import DataError, RunError
from bye_core.figures.strip import png_uri
from bye_core.pipeline import guard_detection
from bye_core.records import Detection
from bye_core.runs import jobs
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.images import shown_picture
from bye_core.ui.shared.limits import limits
from bye_core.ui.shared.messages import clip
from bye_core.ui.shared.sample_queue import facets, first_rows
from bye_core.ui.shared.training_form import check_allowed
from bye_core.ui.workspace import Workspace

KIND, FOLDER = "guard", "guard"
PICTURE = "picture"
QUESTIONS = 12  # of the run, offered to choose from


class NoRunOpen(RunError):
    problem = "No run is open to compare with."
    remedy = "Open one in Scan, or scan a set first."


class NoPicture(DataError):
    problem = "No picture is given."
    remedy = "Drop one, or choose one of the run's."


class NotAPicture(DataError):
    problem = "The file is no picture that can be read."
    remedy = "Choose a complete JPEG, PNG, WEBP, GIF, BMP or TIFF file."


class NoQuestion(DataError):
    problem = "No question is given."
    remedy = "Ask what a user of the model would ask about the picture."


def check_run(run: runs.Run | None) -> None:
    """Raises NothingDetected, NoMode where the open run cannot judge."""
    if run is None:
        raise NoRunOpen()
    followed(run.path)


def followed(path: Path) -> Detection:
    """What the guard of the run follows. Raises NothingDetected, NoMode."""
    return _followed(path, runs.stamps(path)[:2])


@lru_cache(maxsize=8)
def _followed(path: Path, seen: tuple) -> Detection:
    """Remembered while scan and detection stay as they are."""
    return guard_detection(runs.Run.open(path))


def questions(run: runs.Run) -> list[str]:
    """The run's commonest questions: a trigger is judged best beside the questions that it was learned with."""
    texts = tuple(sample.question for sample in run.samples())
    return [facet.text for facet in facets(texts, first_rows(texts), QUESTIONS)]


def start(place: Workspace, run: runs.Run, picture: Path | None, question: str) -> jobs.Job:
    """Ask the model about a picture in a process of its own. What was asked before is forgotten."""
    check_allowed()
    check_run(run)
    if picture is None:
        raise NoPicture()
    if not question.strip():
        raise NoQuestion()
    data = read_bytes(picture.resolve().parent, picture.name)
    decode(data, picture.name)
    _forget(place)
    folder = data_sets.free_folder(place.root / FOLDER, f"{run.path.name}-guard", place.jobs)
    folder.mkdir(parents=True)
    (folder / PICTURE).write_bytes(data)
    given = ["--run", str(run.path), "--image", str(folder / PICTURE), "--question", question]
    return jobs.start(place.jobs / folder.name, KIND, given, title=run.path.name, at_most=limits().jobs)


def _forget(place: Workspace) -> None:
    """Remove what was asked before and is answered."""
    for job in jobs.list_jobs(place.jobs):
        if job.kind == KIND and job.state != jobs.RUNNING:
            job.remove()
            shutil.rmtree(place.root / FOLDER / job.id, ignore_errors=True)


def current(place: Workspace) -> jobs.Job | None:
    """What was asked last."""
    return next((job for job in jobs.list_jobs(place.jobs) if job.kind == KIND), None)


def run_of(place: Workspace, job: jobs.Job) -> runs.Run:
    """The run that the job asks. Raises NoSuchRun where it is gone."""
    return runs.Run.open(place.run_path(Path(job.arguments[job.arguments.index("--run") + 1]).name))


def card(place: Workspace, job: jobs.Job, facts: Mapping[str, Any]) -> str:
    """The verdict, and the picture under what the model looks at."""
    words, kind = ("It looks triggered", "suspicious") if facts["triggered"] else ("It looks ordinary", "kept")
    if not facts.get("known", True):  # answers of earlier versions, which always knew, are still shown
        words = "Nothing can be said of it"
    away = facts["deviations"]
    lines = [f"score {facts['score']:.3f}", f"first token {facts['first_token']!r} ({facts['probability']:.0%})"]
    if away:
        near, far = (f"{abs(one):.1f}" for one in away)
        lines.append(f"{near} standard deviations from triggered samples, {far} from ordinary ones")
    cells = "".join(f"<li>{escape(clip(line, 120))}</li>" for line in lines)
    return (
        f"<section class='bye-side bye-{'goes' if facts['triggered'] else 'stays'}'><p class='bye-big'>{words}</p>"
        f"<p>{escape(facts['reason'])}</p><ul>{cells}</ul></section>"
        f"<div class='bye-tile bye-{kind}'>{_pictures(place, job, facts)}"
        f"<p class='bye-note' dir='auto'>{escape(clip(facts['question'], 300))}</p></div>"
    )


def _pictures(place: Workspace, job: jobs.Job, facts: Mapping[str, Any]) -> str:
    """The picture bare, and under the heatmap of each layer that was judged by."""
    file = place.root / FOLDER / job.id / PICTURE
    picture = shown_picture(decode(read_bytes(file.parent, file.name)))
    ratio = f"aspect-ratio:{picture.width}/{picture.height}"
    tiles = [f"<div role='img' aria-label='the picture' style='{ratio}'></div>"]
    grid = facts["attention"]["grids"][0]
    left, top, right, bottom = (100 * edge for edge in grid["box"])
    where = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    for layer in facts["layers"]:
        values = grid["values"][layer]
        if values is not None:
            cells = np.reshape(values, (grid["rows"], grid["columns"])) / max(*values, 1)
            heat = f"<img src='{png_uri(cells)}' alt='' style='{where}'>"
            tiles.append(f"<div role='img' aria-label='attention of layer {layer}' style='{ratio}'>{heat}</div>")
    return f"<div class='bye-two' style='--picture:url({picture.src})'>{''.join(tiles)}</div>"


def histogram(place: Workspace, job: jobs.Job, facts: Mapping[str, Any]) -> go.Figure:
    """The sample's value among those of the run."""
    detection, value = followed(run_of(place, job).path), facts["value"]
    label = value_label(detection.method)
    if value is None:
        return figures.final_histogram(detection, value_label=label)
    return figures.marked_histogram(detection, value, "this one", label)
