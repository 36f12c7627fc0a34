"""Shows the judgement of an image and a question: verdict, attention maps, and a histogram beside the run's samples."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from bye_core import figures
from bye_core.data.images import decode, read_bytes
from bye_core.detect import value_label
from bye_core.figures.heatmap import png_uri
from bye_core.grids import NO_IMAGE, NO_MAP
from bye_core.runs import jobs
from bye_core.ui.shared.images import shown_image
from bye_core.ui.shared.messages import clip
from bye_core.ui.tabs.guard import job as guard_job
from bye_core.ui.workspace import Workspace


def card(workspace: Workspace, job: jobs.Job, facts: Mapping[str, Any]) -> str:
    """Return the HTML of the verdict with its reasons, and of the image under the attention maps."""
    words, kind = ("It looks triggered", "suspicious") if facts["triggered"] else ("It looks ordinary", "kept")
    if not facts.get("known", True):  # results of earlier versions lack this field and always had a verdict
        words = "No judgement is possible"
    lines = [f"score {facts['score']:.3f}", f"first token {facts['first_token']!r} ({facts['probability']:.0%})"]
    if facts["deviations"]:
        triggered, ordinary = (f"{abs(distance):.1f}" for distance in facts["deviations"])
        lines.append(f"{triggered} standard deviations from triggered samples, {ordinary} from ordinary ones")
    items = "".join(f"<li>{escape(clip(line, 120))}</li>" for line in lines)
    return (
        f"<section class='bye-side bye-{'goes' if facts['triggered'] else 'stays'}'><p class='bye-big'>{words}</p>"
        f"<p>{escape(facts['reason'])}</p><ul>{items}</ul></section>"
        f"<div class='bye-tile bye-{kind}'>{_images(workspace, job, facts)}"
        f"<p class='bye-note' dir='auto'>{escape(clip(facts['question'], 300))}</p></div>"
    )


def _images(workspace: Workspace, job: jobs.Job, facts: Mapping[str, Any]) -> str:
    """Return the plain image, and the image under the attention map of each layer used for the verdict."""
    file = guard_job.image_file(workspace, job)
    image = shown_image(decode(read_bytes(file.parent, file.name)))
    ratio = f"aspect-ratio:{image.width}/{image.height}"
    tiles = [f"<div role='img' aria-label='the image' style='{ratio}'></div>"]
    grids = facts["attention"]["grids"]
    grid = next((grid for grid in grids if not grid.get("overview")), grids[0])
    if grid.get("image") == NO_IMAGE:
        note = f"<p class='bye-note'>{escape(NO_MAP)}</p>"
        return f"<div class='bye-two' style='--picture:url({image.src})'>{tiles[0]}</div>{note}"
    left, top, right, bottom = (100 * edge for edge in grid["box"])
    where = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    for layer in facts["layers"]:
        values = grid["values"][layer]
        if values is not None:
            cells = np.reshape(values, (grid["rows"], grid["columns"])) / max(*values, 1)
            heat = f"<img src='{png_uri(cells)}' alt='' style='{where}'>"
            tiles.append(f"<div role='img' aria-label='attention of layer {layer}' style='{ratio}'>{heat}</div>")
    return f"<div class='bye-two' style='--picture:url({image.src})'>{''.join(tiles)}</div>"


def histogram(workspace: Workspace, job: jobs.Job, facts: Mapping[str, Any]) -> go.Figure:
    """Return the histogram of the run's values, with the value of this sample marked."""
    detection, value = guard_job.reference(guard_job.run_of(workspace, job).path), facts["value"]
    label = value_label(detection.method, detection.entropy_unit)
    if value is None:
        return figures.final_histogram(detection, value_label=label)
    return figures.marked_histogram(detection, value, "this sample", label)
