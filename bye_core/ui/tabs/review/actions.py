"""What the Review page asks its server: each function takes one object and answers with JSON text (asking.answered).

Anybody can call these. So each resolves the run by the visitor's own workspace first.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from bye_core.errors import ByeError, SettingError
from bye_core.figures import overlay_payload
from bye_core.records import Decision
from bye_core.runs.errors import DamagedSample, NotScanned
from bye_core.ui.demo_run import run_to_open
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.shared import images, sample_queue
from bye_core.ui.shared.sample_evidence import conversation, layer_names, short
from bye_core.ui.web import page_calls
from bye_core.ui.web.page_calls import Ask, BadRequest, answered, told
from bye_core.ui.workspace import workspace_of

CARD_TEXT, FACET_TEXT, REVIEWER, NOTE, SEARCH = 80, 70, 80, 2000, 200  # characters
PAGE = 48  # cards or thumbnails in one answer

CHANGED = {
    "problem": "The data set has changed since the scan: pictures may not be those that the model saw.",
    "remedy": "Put the scanned version back, or scan the new one.",
}


class NothingToUndo(SettingError):
    problem = "There is nothing of yours to undo."
    remedy = "Only decisions made under your name are taken back here."


def asked_run(ask: Ask) -> OpenRun:
    """Raises NoSuchRun for a run that is not this visitor's."""
    place = workspace_of(page_calls.text(ask, "visitor"))
    return open_run(place.run_path(page_calls.text(ask, "run")))


@answered
def review_enter(ask: Ask) -> dict[str, Any]:
    """ask: visitor; asked, kept: names of runs. What a page shows first, in one answer, before there is a session: the
    list, the first undecided sample in it, and that sample's first picture (None where it cannot be shown)."""
    place = workspace_of(page_calls.text(ask, "visitor"))
    run = run_to_open(place, page_calls.text(ask, "asked"), page_calls.text(ask, "kept"))
    opened = open_run(place.run_path(run))
    flagged, chosen = bool(opened.columns.flagged.any()), opened.choices()
    rows = sample_queue.select(opened.columns, chosen, sample_queue.Query("flagged" if flagged else "all"))
    undecided = rows[chosen[rows] == sample_queue.UNDECIDED]
    position = int(opened.positions[(undecided if len(undecided) else rows)[0]]) if len(rows) else None
    first = None if position is None else {**_sample(opened, position), "picture": _first_picture(opened, position)}
    return {"run": run, "flagged": flagged, "list": _listing(opened, rows), "first": first}


@answered
def review_queue(ask: Ask) -> dict[str, Any]:
    """ask: query {show, sort, text, question, answer, picked}. The whole order as positions, and all marks."""
    opened = asked_run(ask)
    return _listing(
        opened, sample_queue.select(opened.columns, opened.choices(), _query(opened, page_calls.part(ask, "query")))
    )


def _listing(opened: OpenRun, rows: np.ndarray) -> dict[str, Any]:
    detection = opened.detection
    return {
        "stamp": opened.stamp,
        "positions": _base64(opened.positions[rows].astype("<u4")),
        "marks": _base64(opened.marks()),
        "detected": detection is not None,
        "verdict": detection.verdict if detection else "",
        "sensitive": list(detection.sensitive_layers) if detection else [],
        "layers": int(opened.table.layer_entropy.shape[1]),
        "questions": _facets(opened, opened.columns.questions, opened.columns.same_question),
        "answers": _facets(opened, opened.columns.answers, opened.columns.same_answer),
        "cards": [_card(opened, int(row)) for row in rows[: PAGE // 2]],
    }


@answered
def review_notice(ask: Ask) -> dict[str, Any]:
    """What is wrong with the data set as a whole, or None; the review goes on without pictures.

    Apart from the queue, because reading a large set takes longer than anything else here.
    """
    opened = asked_run(ask)
    try:
        changed = images.has_changed(opened.settings)
    except ByeError as error:
        return {"notice": told(error)}
    return {"notice": CHANGED if changed else None}


@answered
def review_marks(ask: Ask) -> dict[str, Any]:
    """All marks as they are on disk now: another person may review the same run."""
    opened = asked_run(ask)
    return {"stamp": opened.stamp, "marks": _base64(opened.marks())}


@answered
def review_cards(ask: Ask) -> dict[str, Any]:
    """ask: positions, at most PAGE."""
    opened = asked_run(ask)
    return {"cards": [_card(opened, opened.row(position)) for position in _positions(opened, ask, PAGE)]}


@answered
def review_thumbnails(ask: Ask) -> dict[str, Any]:
    """ask: positions, at most PAGE. A thumbnail that cannot be made is ""."""
    opened = asked_run(ask)
    return {
        "thumbnails": {p: images.thumbnail(opened.settings, opened.samples[p]) for p in _positions(opened, ask, PAGE)}
    }


@answered
def review_sample(ask: Ask) -> dict[str, Any]:
    """ask: position or id. All about one sample but its pictures."""
    opened = asked_run(ask)
    return _sample(opened, _position(opened, ask))


def _sample(opened: OpenRun, position: int) -> dict[str, Any]:
    row, sample = opened.row(position), opened.samples[position]
    chosen, decision = opened.choices(), opened.decisions().get(sample.id)
    compared = opened.evidence.typical(row, chosen)
    detection, columns = opened.detection, opened.columns
    return {
        **_card(opened, row),
        "question": short(sample.question),
        "answer": short(sample.answer),
        "turns": conversation(sample),
        "pictures": len(sample.images),
        "score": _number(columns.scores[row]),
        "summary": opened.evidence.summary(row),
        "facts": [fact._asdict() for fact in opened.evidence.facts(row)],
        "layers": layer_names(opened.evidence.layers, opened.table.layer_entropy.shape[1]),
        "reasons": list(detection.reasons) if detection else [],
        "same_question": int((columns.same_question == columns.same_question[row]).sum()),
        "same_answer": int((columns.same_answer == columns.same_answer[row]).sum()),
        "typical": {"position": int(opened.positions[compared[0]]), "same": compared[1]} if compared else None,
        "decision": {"choice": decision.choice, "reviewer": decision.reviewer, "note": decision.note}
        if decision
        else None,
        **_attention(opened, sample.id),
    }


@answered
def review_picture(ask: Ask) -> dict[str, Any]:
    """ask: position, number."""
    opened = asked_run(ask)
    sample = opened.samples[_position(opened, ask)]
    number = page_calls.index(ask.get("number"), len(sample.images), "an unknown picture")
    return images.shown(opened.settings, sample, number)._asdict()


def _first_picture(opened: OpenRun, position: int) -> dict[str, Any] | None:
    """The page asks for it once more where there is none, and is told why."""
    sample = opened.samples[position]
    try:
        return images.shown(opened.settings, sample, 0)._asdict() if sample.images else None
    except ByeError:
        return None


@answered
def review_decide(ask: Ask) -> dict[str, Any]:
    """ask: choice, and id or positions; reviewer, note. One batch; it is on disk when this answers.

    Without a note, the one that a sample has stays.
    """
    opened = asked_run(ask)
    if "positions" in ask:
        ids = [opened.samples[position].id for position in _positions(opened, ask, len(opened.samples))]
    else:
        ids = [page_calls.text(ask, "id")]
    choice, reviewer = page_calls.text(ask, "choice"), page_calls.text(ask, "reviewer", limit=REVIEWER)
    known = opened.decisions() if "note" not in ask else {}
    notes = {id: known[id].note if id in known else page_calls.text(ask, "note", limit=NOTE) for id in ids}
    batch = opened.run.decide([Decision(id, choice, reviewer, note) for id, note in notes.items()])
    return {"batch": batch, "count": len(ids)}


@answered
def review_undo(ask: Ask) -> dict[str, Any]:
    """ask: batch, or "" for the newest under this reviewer's name. Says what was withdrawn, and all marks after it."""
    opened = asked_run(ask)
    run, batch = opened.run, page_calls.text(ask, "batch")
    reviewer = page_calls.text(ask, "reviewer", limit=REVIEWER)
    if not batch:
        own = [one.id for one in run.batches() if all(d.reviewer == reviewer for d in one.decisions)]
        batch = own[-1] if own else ""
    withdrawn = run.undo(batch) if batch else None
    if withdrawn is None:
        raise NothingToUndo()
    first = withdrawn.decisions[0]
    return {
        "batch": withdrawn.id,
        "count": len(withdrawn.decisions),
        "choice": first.choice,
        "id": first.id,
        "position": opened.position_of[first.id],
        "marks": _base64(opened.marks()),
    }


SERVER_FUNCTIONS = [
    review_enter,
    review_queue,
    review_notice,
    review_marks,
    review_cards,
    review_thumbnails,
    review_sample,
    review_picture,
    review_decide,
    review_undo,
]


def _card(opened: OpenRun, row: int) -> dict[str, Any]:
    columns = opened.columns
    return {
        "position": int(opened.positions[row]),
        "id": columns.ids[row],
        "question": short(columns.questions[row], CARD_TEXT),
        "answer": short(columns.answers[row], CARD_TEXT),
        "score": _number(columns.scores[row]),
    }


def _attention(opened: OpenRun, id: str) -> dict[str, Any]:
    """The rows for the canvas and the model's own first token; rows that cannot be read cost only the heatmap."""
    try:
        rows = opened.run.rows(id)
    except (NotScanned, DamagedSample) as error:
        return {"heat": None, "heat_error": told(error), "token": None, "probability": None}
    return {
        "heat": overlay_payload(rows),
        "heat_error": None,
        "token": rows.token_text,
        "probability": _number(rows.probability),
    }


def _facets(opened: OpenRun, texts: tuple[str, ...], same: np.ndarray) -> list[dict[str, Any]]:
    found = sample_queue.facets(texts, same)
    return [
        {"position": int(opened.positions[facet.row]), "text": short(facet.text, FACET_TEXT), "count": facet.count}
        for facet in found
    ]


def _query(opened: OpenRun, ask: Ask) -> sample_queue.Query:
    picked = ask.get("picked")
    if picked is not None and not isinstance(picked, list):
        raise BadRequest(what="a list of picked samples")
    place = opened.row_of
    return sample_queue.Query(
        show=page_calls.text(ask, "show", "all"),
        sort=page_calls.text(ask, "sort", "suspicious"),
        text=page_calls.text(ask, "text", limit=SEARCH),
        question=None if ask.get("question") is None else _row(opened, ask["question"]),
        answer=None if ask.get("answer") is None else _row(opened, ask["answer"]),
        rows=None if picked is None else tuple(place[id] for id in picked if isinstance(id, str) and id in place),
    )


def _row(opened: OpenRun, position: Any) -> int:
    return opened.row(page_calls.index(position, len(opened.samples), "an unknown sample"))


def _position(opened: OpenRun, ask: Ask) -> int:
    if "position" in ask:
        return page_calls.index(ask["position"], len(opened.samples), "an unknown sample")
    position = opened.position_of.get(page_calls.text(ask, "id"))
    if position is None:
        raise BadRequest(what="an unknown sample")
    return position


def _positions(opened: OpenRun, ask: Ask, limit: int) -> list[int]:
    found = ask.get("positions")
    if not isinstance(found, list):
        raise BadRequest(what="a list of samples")
    return list(dict.fromkeys(page_calls.index(one, len(opened.samples), "an unknown sample") for one in found))[:limit]


def _number(value: Any) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
