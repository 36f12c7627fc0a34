"""What Review says in its Why panel about one sample; asked for only once the sample is on the screen. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from bye_core.pipeline.evidence import look_at
from bye_core.records import Sample
from bye_core.reports.evidence_section import picture_uri
from bye_core.runs.errors import DamagedSample, NotScanned
from bye_core.text import clip
from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared import evidence, images
from bye_core.ui.shared.sample_evidence import short
from bye_core.ui.tabs.review.actions import asked_run
from bye_core.ui.web import page_calls
from bye_core.ui.web.page_calls import Ask, answered, told
from bye_core.ui.workspace import hosted

GIVEN = {
    "plain": "as it is",
    "covered": "spot covered",
    "elsewhere": "covered elsewhere",
    "without": "words left out",
    "others": "other words left out",
    "wider": "all spots covered",
    "aside": "as much elsewhere",
    "found": "what brings it along covered",
    "beside": "as much beside that",
    **{way: f"asked “{question}”" for way, question in OTHER_QUESTIONS.items()},
}
SAID = 200  # characters of an answer
PARTS = 6  # pictures of what was covered


@answered
def review_why(ask: Ask) -> dict[str, Any]:
    """ask: position. Where it looks, beside the mean of the flagged; its answer among theirs; what the model said."""
    opened = asked_run(ask)
    position = page_calls.index(ask.get("position"), len(opened.samples), "an unknown sample")
    if opened.detection is None or not opened.detection.flagged.any():
        return {"nothing": True}
    run, sample = opened.run, opened.samples[position]
    dossier = evidence.told(run)
    try:
        seen = look_at(run, dossier, sample.id)
    except (NotScanned, DamagedSample):
        seen = None
    mean = evidence.spots(run)
    return {
        "layer": dossier.layer.layer if dossier.layer else None,
        "spot": _spot(opened, dossier, sample, seen) if seen else None,
        "mean": {"src": picture_uri(mean.mean), "of": mean.cut} if mean.mean else None,
        "answer": _answer(opened, dossier, position),
        "cause": _cause(opened, sample, seen),
        "can_check": not hosted() and sample.id in dossier.flagged_ids,
    }


def _spot(opened: OpenRun, dossier: Dossier, sample: Sample, seen: AttentionPeak) -> dict[str, Any]:
    """The suspected spot cut out, at the size of those of the flagged; or why it cannot be."""
    found = {"share": round(seen.share, 6), "src": None, "error": None, "padding": seen.on_padding}
    if seen.on_padding or seen.image >= len(sample.images):
        return found
    size = crop_size([one.spot for one in dossier.peaks.values() if not one.on_padding] or [seen.spot])
    try:
        picture = images.opened(opened.settings, sample, seen.image)
        return found | {"src": picture_uri(crop(picture, seen.cell, size))}
    except ByeError as error:
        return found | {"error": told(error)}


def _answer(opened: OpenRun, dossier: Dossier, position: int) -> str:
    """How over-represented its answer is among the flagged."""
    rows = rows_with_answer(opened.columns.answers, opened.row(position))
    found = dossier.strata.test(rows)
    numbers = {"flagged": found.flagged, "total": found.total, "expected": found.expected, "p": found.p}
    return excess_words(numbers, dossier.flagged)


def _cause(opened: OpenRun, sample: Sample, seen: AttentionPeak | None) -> dict[str, Any] | None:
    found = evidence.facts(opened.run)["causes"]["samples"].get(sample.id)
    if found is None:
        return None
    given = [[GIVEN[way], short(said, SAID)] for way, said in found["given"].items()]
    given += [[f"pasted into {clip(other, 24)}", short(said, SAID)] for other, said in found["carried"].items()]
    words = CausalOutcome(found["outcome"], found["suspect"]).sentence
    parts = _parts(opened, sample, seen, found["covered"]) if found["suspect"] in SEVERAL_SPOTS else []
    return {"outcome": found["outcome"], "words": words, "given": given, "covered": parts}


def _parts(opened: OpenRun, sample: Sample, seen: AttentionPeak | None, covered: Sequence[Box]) -> list[str]:
    """What was covered, cut out; nothing where the picture is gone, which its own place says."""
    try:
        picture = images.opened(opened.settings, sample, seen.image if seen else 0)
    except ByeError:
        return []
    return [picture_uri(crop(picture, box, crop_size([box]))) for box in covered[:PARTS]]
