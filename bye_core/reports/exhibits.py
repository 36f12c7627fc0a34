"""Shows one flagged sample in a report: image, heatmap, question, answer, and why the sample is flagged."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from bye_core.evidence import CausalOutcome
from bye_core.figures import png_uri
from bye_core.grids import NO_MAP, Raster, image_shares, on_grid, rasters
from bye_core.reports.case import Case, Exhibit, most_separated_layer, reason
from bye_core.text import clip

LONGEST = 320  # pixels of an image's longer side
QUALITY = 82


def exhibit_card(case: Case, exhibit: Exhibit) -> str:
    sample = exhibit.sample
    why = reason(case, exhibit.rows)
    decision = case.decisions.get(sample.id)
    choice = f"{decision.choice}, by {decision.reviewer or 'unnamed reviewer'}" if decision else "undecided"
    at = case.detection.ids.index(sample.id)
    return (
        f"<li><div class='pair'>{_images(exhibit, why.grid, most_separated_layer(case.detection))}</div>"
        f"<p class='id'><bdi>{escape(clip(sample.id, 80))}</bdi> score {case.detection.scores[at]:.3f}</p>"
        f"<p dir='auto'><b>Question:</b> {escape(clip(sample.question, 300))}</p>"
        f"<p dir='auto'><b>Answer:</b> {escape(clip(sample.answer, 200))}</p>"
        f"<p>{escape(why.words())}</p>{_cause(case, sample.id)}<p class='note'>{escape(clip(choice, 120))}</p></li>"
    )


def _cause(case: Case, id: str) -> str:
    """Return the outcome of the sample's causal check as HTML, "" if there is no check."""
    found = case.evidence["causes"]["samples"].get(id) if case.evidence else None
    return f"<p>{escape(CausalOutcome(found['outcome'], found['suspect']).sentence)}</p>" if found else ""


def _images(exhibit: Exhibit, number: int, layer: int | None) -> str:
    """Return the image of raster `number` as HTML, without and with the heatmap of `layer` (None: of all layers)."""
    if not exhibit.images:
        return f"<p class='note'>{escape(clip(exhibit.missing, 200))}</p>"
    if not exhibit.rows.grids:
        uri, (width, height) = scaled_uri(exhibit.images[0])
        frame = f"<div class='frame' style='aspect-ratio:{width}/{height}'><img src='{uri}' alt=''></div>"
        return f"{frame}<p class='note'>{escape(NO_MAP)}</p>"
    raster = rasters(exhibit.rows.grids)[number]
    uri, (width, height) = scaled_uri(exhibit.images[raster.image])
    shares = image_shares(exhibit.rows.rows)
    shares = np.nan_to_num(shares).mean(axis=0, keepdims=True) if layer is None else shares[[layer]]
    heat = heat_image(on_grid(shares, raster)[0], raster)
    frame = f"<div class='frame' style='aspect-ratio:{width}/{height}'><img src='{uri}' alt=''>"
    return f"{frame}</div>{frame}{heat}</div>"


def scaled_uri(image: Image.Image) -> tuple[str, tuple[int, int]]:
    """Return (data URI, (width, height) in pixels) of the scaled-down image."""
    small = image.copy()
    small.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    small.save(content, "webp", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii"), small.size


def heat_image(cells: np.ndarray, raster: Raster) -> str:
    """Return the heatmap of shares [rows, columns] as an image, placed where the raster is on the image."""
    left, top, right, bottom = raster.box
    peak = np.nanmax(cells, initial=0.0)
    place = f"left:{100 * left:.3f}%;top:{100 * top:.3f}%;width:{100 * (right - left):.3f}%;"
    return (
        f"<img class='heat' alt='heatmap' src='{png_uri(cells / peak if peak > 0 else cells)}' "
        f"style='{place}height:{100 * (bottom - top):.3f}%'>"
    )
