"""The server functions of the Review page: each takes one object, `request`, and returns JSON text.

Anybody can call these functions, so each opens the run only from the visitor's own workspace.
"""

from __future__ import annotations

from typing import Any

from bye_core.errors import ByeError
from bye_core.ui.demo_run import run_to_open
from bye_core.ui.open_run import OpenRun, open_run
from bye_core.ui.shared import images, sample_queue
from bye_core.ui.tabs.review import answers
from bye_core.ui.tabs.review.answers import PAGE, TILES
from bye_core.ui.web import page_calls
from bye_core.ui.web.page_calls import BadRequest, Request, failure, json_answer
from bye_core.ui.workspace import workspace_of

SEARCH = 200  # characters

CHANGED = {
    "problem": "The data set has changed since the scan. The model may have seen other images.",
    "remedy": "Restore the scanned version, or scan the new one.",
}


def asked_run(request: Request) -> OpenRun:
    """Return the run that a request names. Raises: NoSuchRun if the visitor's workspace holds no such run."""
    place = workspace_of(page_calls.text(request, "visitor"))
    return open_run(place.run_path(page_calls.text(request, "run")))


@json_answer
def review_enter(request: Request) -> dict[str, Any]:
    """Return everything that a page shows first: the list, its first undecided sample, and that sample's image.

    request: visitor; asked, kept: names of runs. The run `asked` opens if it exists, else `kept`, else the demo. No
    session exists yet at this call. query, sample: the list and the id of the sample that a link names; they are
    ignored if another run than `asked` opens, or if they do not exist.
    """
    place = workspace_of(page_calls.text(request, "visitor"))
    asked = page_calls.text(request, "asked")
    run = run_to_open(place, asked, page_calls.text(request, "kept"))
    opened = open_run(place.run_path(run))
    flagged, chosen = bool(opened.columns.flagged.any()), opened.choices()
    linked = asked in ("", run)
    default = {"show": "flagged" if flagged else "all"}
    query = default | dict(page_calls.part(request, "query")) if linked else default
    try:
        rows = sample_queue.select(opened.columns, chosen, _query(opened, query), opened.disputed())
    except ByeError:  # the link is of another version of the run
        query = default
        rows = sample_queue.select(opened.columns, chosen, _query(opened, query), opened.disputed())
    named = opened.row_of.get(page_calls.text(request, "sample")) if linked else None
    if named is not None and named not in rows:
        query = {"show": "all"}
        rows = sample_queue.select(opened.columns, chosen, _query(opened, query))
    undecided = rows[chosen[rows] == sample_queue.UNDECIDED]
    first = None
    if len(rows):
        position = int(opened.positions[(undecided if len(undecided) else rows)[0] if named is None else named])
        first = {**answers.sample(opened, position), "picture": answers.first_picture(opened, position)}
    return {"run": run, "query": query, "list": answers.listing(opened, rows), "first": first}


@json_answer
def review_queue(request: Request) -> dict[str, Any]:
    """Return a list of samples. request: query {show, sort, text, question, answer, picked}."""
    opened = asked_run(request)
    query = _query(opened, page_calls.part(request, "query"))
    return answers.listing(opened, sample_queue.select(opened.columns, opened.choices(), query, opened.disputed()))


@json_answer
def review_notice(request: Request) -> dict[str, Any]:
    """Return the error that concerns the whole data set, or None. With an error, Review shows no images.

    Reading a large data set is the slowest step, so this call is separate from the list's.
    """
    opened = asked_run(request)
    try:
        changed = images.has_changed(opened.settings)
    except ByeError as error:
        return {"notice": failure(error)}
    return {"notice": CHANGED if changed else None}


@json_answer
def review_cards(request: Request) -> dict[str, Any]:
    """Return the cards of samples. request: positions, at most PAGE."""
    opened = asked_run(request)
    return {
        "cards": [answers.card(opened, opened.row(position)) for position in asked_positions(opened, request, PAGE)]
    }


@json_answer
def review_thumbnails(request: Request) -> dict[str, Any]:
    """Return thumbnails by position, "" if a sample has none. request: positions, at most PAGE."""
    opened = asked_run(request)
    return {
        "thumbnails": {
            p: images.thumbnail(opened.settings, opened.samples[p]) for p in asked_positions(opened, request, PAGE)
        }
    }


@json_answer
def review_tiles(request: Request) -> dict[str, Any]:
    """Return the cards of the grid: image and attention of samples. request: positions, at most TILES; layers."""
    opened = asked_run(request)
    layers = request.get("layers")
    if not isinstance(layers, list) or not layers:
        raise BadRequest(what="a list of layers")
    count = opened.table.layer_entropy.shape[1]
    chosen = [page_calls.index(layer, count, "an unknown layer") for layer in layers]
    return {"tiles": {p: answers.tile(opened, p, chosen) for p in asked_positions(opened, request, TILES)}}


@json_answer
def review_sample(request: Request) -> dict[str, Any]:
    """Return everything about one sample except its images. request: position or id."""
    opened = asked_run(request)
    return answers.sample(opened, asked_position(opened, request))


@json_answer
def review_picture(request: Request) -> dict[str, Any]:
    """Return one image, scaled down if it is large. request: position, number; original: in its own pixels."""
    opened = asked_run(request)
    sample = opened.samples[asked_position(opened, request)]
    number = page_calls.index(request.get("number"), len(sample.images), "an unknown picture")
    get = images.original if request.get("original") is True else images.shown
    return get(opened.settings, sample, number)._asdict()


SERVER_FUNCTIONS = [
    review_enter,
    review_queue,
    review_notice,
    review_cards,
    review_thumbnails,
    review_tiles,
    review_sample,
    review_picture,
]


def _query(opened: OpenRun, request: Request) -> sample_queue.Query:
    picked = request.get("picked")
    if picked is not None and not isinstance(picked, list):
        raise BadRequest(what="a list of picked samples")
    place = opened.row_of
    return sample_queue.Query(
        show=page_calls.text(request, "show", "all"),
        sort=page_calls.text(request, "sort", "suspicious"),
        text=page_calls.text(request, "text", limit=SEARCH),
        question=None if request.get("question") is None else _row(opened, request["question"]),
        answer=None if request.get("answer") is None else _row(opened, request["answer"]),
        rows=None if picked is None else tuple(place[id] for id in picked if isinstance(id, str) and id in place),
    )


def _row(opened: OpenRun, position: Any) -> int:
    return opened.row(page_calls.index(position, len(opened.samples), "an unknown sample"))


def asked_position(opened: OpenRun, request: Request) -> int:
    if "position" in request:
        return page_calls.index(request["position"], len(opened.samples), "an unknown sample")
    position = opened.position_of.get(page_calls.text(request, "id"))
    if position is None:
        raise BadRequest(what="an unknown sample")
    return position


def asked_positions(opened: OpenRun, request: Request, limit: int) -> list[int]:
    found = request.get("positions")
    if not isinstance(found, list):
        raise BadRequest(what="a list of samples")
    return list(dict.fromkeys(page_calls.index(one, len(opened.samples), "an unknown sample") for one in found))[:limit]
