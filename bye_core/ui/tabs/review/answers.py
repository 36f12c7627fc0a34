"""Builds the JSON values that describe lists and samples for the Review page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.figures import mean_payload, overlay_payload
from bye_core.runs.errors import DamagedSample, NotScanned
from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared import images, sample_queue
from bye_core.ui.shared.obstacles import buttons, explanation, first_obstacle
from bye_core.ui.shared.sample_evidence import conversation, layer_names, named_heads, short
from bye_core.ui.web.page_calls import failure

CARD_TEXT, FACET_TEXT = 80, 70  # characters
PAGE, TILES = 48, 12  # cards or thumbnails, and cards of the grid, in one answer


def listing(opened: OpenRun, rows: np.ndarray) -> dict[str, Any]:
    """Return a list of samples: `rows` in the given order, all samples' marks, the filters, and the first cards."""
    detection = opened.detection
    return {
        "stamp": opened.stamp,
        **decided_until(opened),
        "positions": encoded(opened.positions[rows].astype("<u4")),
        "marks": encoded(opened.marks()),
        "detected": detection is not None,
        "verdict": detection.verdict if detection else "",
        "obstacle": _obstacle(opened),
        "sensitive": list(detection.sensitive_layers) if detection else [],
        "heads": 0 if opened.table.entropy is None else int(opened.table.entropy.shape[2]),
        "named": named_heads(detection),
        "layers": int(opened.table.layer_entropy.shape[1]),
        "questions": _facets(opened, opened.columns.questions, opened.columns.same_question),
        "answers": _facets(opened, opened.columns.answers, opened.columns.same_answer),
        "cards": [card(opened, int(row)) for row in rows[: PAGE // 2]],
    }


def decided_until(opened: OpenRun) -> dict[str, str]:
    """Return how far the decisions on disk go: `decided` changes with each change, `newest` is the last batch's id.

    Read it before the marks: if a decision comes in between, the page only reads the marks once more.
    """
    stamp, history = runs.stamps(opened.path).decisions, opened.history()
    return {"decided": "-".join(map(str, stamp)), "newest": history[-1][0].id if history else ""}


def _obstacle(opened: OpenRun) -> dict[str, Any] | None:
    """Return the first reason why the data set was not tested, with the buttons that mend it; None if it was tested."""
    obstacle = first_obstacle(opened.detection)
    return {"reason": obstacle.reason, "buttons": buttons(obstacle, opened.path.name)} if obstacle else None


def card(opened: OpenRun, row: int) -> dict[str, Any]:
    """Return the values that the list shows for a sample."""
    columns = opened.columns
    return {
        "position": int(opened.positions[row]),
        "id": columns.ids[row],
        "question": short(columns.questions[row], CARD_TEXT),
        "answer": short(columns.answers[row], CARD_TEXT),
        "score": number(columns.scores[row]),
    }


def _facets(opened: OpenRun, texts: Sequence[str], same: np.ndarray) -> list[dict[str, Any]]:
    """Return the most common questions or answers, which the list offers as filters."""
    return [
        {"position": int(opened.positions[facet.row]), "text": short(facet.text, FACET_TEXT), "count": facet.samples}
        for facet in sample_queue.facets(texts, same)
    ]


def sample(opened: OpenRun, position: int) -> dict[str, Any]:
    """Return everything about one sample except its images. Raises: NotScanned if no scan has reached the sample."""
    row, sample = opened.row(position), opened.samples[position]
    decision, typical = opened.decisions().get(sample.id), opened.evidence.typical(row, opened.choices())
    detection, columns = opened.detection, opened.columns
    return {
        **card(opened, row),
        "question": short(sample.question),
        "answer": short(sample.answer),
        "turns": conversation(sample),
        "pictures": len(sample.images),
        "score": number(columns.scores[row]),
        "summary": opened.evidence.summary(row),
        "facts": [fact._asdict() for fact in opened.evidence.facts(row)],
        "layers": layer_names(opened.evidence.layers, opened.table.layer_entropy.shape[1]),
        "reasons": explanation(detection) if detection else [],
        "same_question": int((columns.same_question == columns.same_question[row]).sum()),
        "same_answer": int((columns.same_answer == columns.same_answer[row]).sum()),
        "typical": {"position": int(opened.positions[typical[0]]), "same": typical[1]} if typical else None,
        "decision": {"choice": decision.choice, "reviewer": decision.reviewer, "note": decision.note}
        if decision
        else None,
        **_attention(opened, sample.id),
    }


def _attention(opened: OpenRun, id: str) -> dict[str, Any]:
    """Return the attention rows and the model's first token, or an error if the rows cannot be read."""
    try:
        rows = opened.run.rows(id)
    except (NotScanned, DamagedSample) as error:
        return {"heat": None, "heat_error": failure(error), "token": None, "probability": None}
    return {
        "heat": overlay_payload(rows),
        "heat_error": None,
        "token": rows.token_text,
        "probability": number(rows.probability),
    }


def tile(opened: OpenRun, position: int, layers: Sequence[int]) -> dict[str, Any]:
    """Return a card of the grid: the first image, and the mean attention of `layers`; None where there is none."""
    sample = opened.samples[position]
    picture = images.small(opened.settings, sample)
    try:
        heat = mean_payload(opened.run.rows(sample.id), layers)
    except (NotScanned, DamagedSample):
        heat = None
    return {"picture": picture._asdict() if picture else None, "heat": heat}


def first_picture(opened: OpenRun, position: int) -> dict[str, Any] | None:
    """Return the sample's first image; None if it cannot be shown at once: the page then requests it."""
    sample = opened.samples[position]
    if not images.opens_at_once(opened.settings):
        return None
    try:
        return images.shown(opened.settings, sample, 0)._asdict() if sample.images else None
    except ByeError:
        return None


def number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
