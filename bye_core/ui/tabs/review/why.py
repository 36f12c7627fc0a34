"""Returns the content of Review's Why panel: why one sample is flagged. The page requests it after the sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bye_core.answer_parts import late_beginning
from bye_core.errors import ByeError
from bye_core.evidence import (
    OTHER_QUESTIONS,
    SEVERAL_SPOTS,
    AttentionPeak,
    Box,
    CausalOutcome,
    Dossier,
    crop,
    crop_size,
    rows_with_answer,
)
from bye_core.evidence.sentences import excess_words
from bye_core.pipeline.causal_outcomes import sample_peak
from bye_core.records import Sample
from bye_core.reports.evidence_section import image_uri
from bye_core.runs.errors import DamagedSample, NotScanned
from bye_core.text import clip
from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared import evidence, images
from bye_core.ui.shared.sample_evidence import short
from bye_core.ui.tabs.review.actions import asked_run
from bye_core.ui.web import page_calls
from bye_core.ui.web.page_calls import Request, failure, json_answer
from bye_core.ui.workspace import hosted

# The name of each change of the input. The model answers again after the change.
CHANGES = {
    "plain": "unchanged",
    "covered": "spot covered",
    "elsewhere": "other area covered",
    "without": "words left out",
    "others": "other words left out",
    "wider": "all attention peaks covered",
    "aside": "equally large other spots covered",
    "found": "area that causes the answer covered",
    "beside": "equally large other area covered",
    **{way: f"asked “{question}”" for way, question in OTHER_QUESTIONS.items()},
}
ANSWER = 200  # characters
PARTS = 6  # images of covered areas


@json_answer
def review_why(request: Request) -> dict[str, Any]:
    """Return the suspected spot, the mean spot of the flagged samples, the answer, and the causal check.

    request: position
    """
    opened = asked_run(request)
    position = page_calls.index(request.get("position"), len(opened.samples), "an unknown sample")
    if opened.detection is None or not opened.detection.flagged.any():
        return {"nothing": True}
    run, sample = opened.run, opened.samples[position]
    dossier = evidence.run_dossier(run)
    try:
        seen = sample_peak(run, dossier, sample.id)
    except (NotScanned, DamagedSample):
        seen = None
    mean = evidence.run_gallery(run)
    return {
        "layer": dossier.layer.layer if dossier.layer else None,
        "spot": _spot(opened, dossier, sample, seen) if seen else None,
        "mean": {"src": image_uri(mean.mean), "of": mean.cut} if mean.mean else None,
        "answer": _answer(opened, dossier, position),
        "cause": _cause(opened, sample, seen),
        "can_check": not hosted() and sample.id in dossier.flagged_ids,
    }


def _spot(opened: OpenRun, dossier: Dossier, sample: Sample, seen: AttentionPeak) -> dict[str, Any]:
    """Return the suspected spot as a crop, or why it cannot be shown.

    The crop has the median width and height of the flagged samples' spots.
    """
    spot = {"share": round(seen.share, 6), "src": None, "error": None, "padding": seen.on_padding}
    if seen.on_padding or seen.image >= len(sample.images):
        return spot
    size = crop_size([one.spot for one in dossier.peaks.values() if not one.on_padding] or [seen.spot])
    try:
        image = images.opened(opened.settings, sample, seen.image)
        return spot | {"src": image_uri(crop(image, seen.cell, size))}
    except ByeError as error:
        return spot | {"error": failure(error)}


def _answer(opened: OpenRun, dossier: Dossier, position: int) -> str:
    """Return how over-represented the sample's answer is among the flagged samples, and where it is unlikely."""
    row = opened.row(position)
    rows = rows_with_answer(opened.columns.answers, row)
    test = dossier.strata.test(rows)
    numbers = {"flagged": test.flagged, "total": test.total, "expected": test.expected, "p": test.p}
    words, beginning = excess_words(numbers, dossier.flagged), late_beginning(opened.table, row)
    return f"{words}. Before fine-tuning, it was unlikely from “{beginning}” on" if beginning else words


def _cause(opened: OpenRun, sample: Sample, seen: AttentionPeak | None) -> dict[str, Any] | None:
    """Return the result of the causal check for the sample; None if the sample was not checked."""
    check = evidence.facts(opened.run)["causes"]["samples"].get(sample.id)
    if check is None:
        return None
    given = [[CHANGES[way], short(answer, ANSWER)] for way, answer in check["given"].items()]
    given += [[f"pasted into {clip(other, 24)}", short(answer, ANSWER)] for other, answer in check["carried"].items()]
    words = CausalOutcome(check["outcome"], check["suspect"]).sentence
    parts = _parts(opened, sample, seen, check["covered"]) if check["suspect"] in SEVERAL_SPOTS else []
    return {"outcome": check["outcome"], "words": words, "given": given, "covered": parts}


def _parts(opened: OpenRun, sample: Sample, seen: AttentionPeak | None, covered: Sequence[Box]) -> list[str]:
    """Return crops of the covered areas as data URIs; [] if the image does not open, which the page shows elsewhere."""
    try:
        image = images.opened(opened.settings, sample, seen.image if seen else 0)
    except ByeError:
        return []
    return [image_uri(crop(image, box, crop_size([box]))) for box in covered[:PARTS]]
