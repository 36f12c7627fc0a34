"""The server functions that save, undo, redo and list decisions, and that report those of other reviewers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bye_core.errors import SettingError
from bye_core.records import Decision
from bye_core.runs.decision_file import Batch, Undo
from bye_core.ui.open_run import OpenRun
from bye_core.ui.shared.space import check_space
from bye_core.ui.tabs.review import answers
from bye_core.ui.tabs.review.actions import asked_positions, asked_run
from bye_core.ui.web import page_calls
from bye_core.ui.web.page_calls import Request, json_answer
from bye_core.ui.workspace import workspace_of

REVIEWER, NOTE = 80, 2000  # characters
STEPS = 200  # newest steps of the history that a page shows
NAMED = 3  # conflicts that a message names


class NothingToUndo(SettingError):
    problem = "You have no decision to undo."
    remedy = "Enter the name of the reviewer whose decisions you want to undo, or undo a step of the history."


class NothingToRedo(SettingError):
    problem = "This step is not undone, so it cannot be made again."
    remedy = "Open the history again to see its present state."


@json_answer
def review_marks(request: Request) -> dict[str, Any]:
    """Return the current marks of all samples from disk, because another person may review the same run.

    request: known, the value of `decided` that the page knows; the marks are left out while it is up to date; newest,
    the last batch that the page knows: `others` describes the later ones.
    """
    opened = asked_run(request)
    until = answers.decided_until(opened)
    answer: dict[str, Any] = {"stamp": opened.stamp, **until}
    if request.get("known") == until["decided"]:
        return answer
    newest = page_calls.text(request, "newest")
    later = [batch for batch, undo in opened.history() if undo is None and batch.id > newest]
    return answer | {
        "marks": answers.encoded(opened.marks()),
        "others": [{"batch": b.id, "reviewer": b.decisions[0].reviewer, "count": len(b.decisions)} for b in later],
    }


@json_answer
def review_decide(request: Request) -> dict[str, Any]:
    """Save one batch of decisions. The batch is on disk when the function returns.

    request: choice; id or positions; reviewer; note; newest. Without `note`, the samples' earlier notes stay. `newest`
    is the last batch that the page knows: `conflicts` lists other reviewers' later decisions that this batch replaces.
    """
    opened = asked_run(request)
    check_space(workspace_of(page_calls.text(request, "visitor")))
    if "positions" in request:
        positions = asked_positions(opened, request, len(opened.samples))
        ids = [opened.samples[position].id for position in positions]
    else:
        ids = [page_calls.text(request, "id")]
    choice, reviewer = page_calls.text(request, "choice"), page_calls.text(request, "reviewer", limit=REVIEWER)
    known = opened.decisions()
    new = [Decision(id, choice, reviewer, _note(request, known.get(id))) for id in ids]
    conflicts = _conflicts(known, new, page_calls.text(request, "newest")) if "newest" in request else []
    batch = opened.run.decide(new)
    return {"batch": batch, "count": len(ids), "conflicts": conflicts[:NAMED], "conflict_count": len(conflicts)}


def _note(request: Request, before: Decision | None) -> str:
    return before.note if before and "note" not in request else page_calls.text(request, "note", limit=NOTE)


def _conflicts(known: Mapping[str, Decision], new: Iterable[Decision], newest: str) -> list[dict[str, str]]:
    """Return the decisions after batch `newest` by other reviewers that `new` replaces by another choice."""
    replaced = [(known[one.id], one) for one in new if one.id in known]
    return [
        {"id": old.id, "choice": old.choice, "reviewer": old.reviewer}
        for old, one in replaced
        if old.batch > newest and old.choice != one.choice and old.reviewer != one.reviewer
    ]


@json_answer
def review_undo(request: Request) -> dict[str, Any]:
    """Undo a batch of decisions. Return what was undone, and the marks of all samples.

    request: batch (its id, or "" for the newest batch of this reviewer); reviewer.
    """
    opened = asked_run(request)
    run, batch = opened.run, page_calls.text(request, "batch")
    reviewer = page_calls.text(request, "reviewer", limit=REVIEWER)
    if not batch:
        own = [one.id for one in run.batches() if all(d.reviewer == reviewer for d in one.decisions)]
        batch = own[-1] if own else ""
    withdrawn = run.undo(batch, reviewer) if batch else None
    if withdrawn is None:
        raise NothingToUndo()
    return {**_step(opened, withdrawn, Undo(reviewer)), "marks": answers.encoded(opened.marks())}


@json_answer
def review_redo(request: Request) -> dict[str, Any]:
    """Make the decisions of an undone batch again, as a new batch. Return it, and the marks of all samples.

    request: batch, the id of the undone batch; reviewer, who makes the decisions now.
    """
    opened = asked_run(request)
    check_space(workspace_of(page_calls.text(request, "visitor")))
    wanted, reviewer = page_calls.text(request, "batch"), page_calls.text(request, "reviewer", limit=REVIEWER)
    undone = next((batch for batch, undo in opened.history() if batch.id == wanted and undo), None)
    if undone is None:
        raise NothingToRedo()
    again = [replace(decision, reviewer=reviewer, time="", batch="") for decision in undone.decisions]
    batch = Batch(opened.run.decide(again), tuple(again))
    return {**_step(opened, batch, None), "marks": answers.encoded(opened.marks())}


@json_answer
def review_history(request: Request) -> dict[str, Any]:
    """Return the newest STEPS steps of the decisions, newest first, and the number of all steps.

    A step that was undone and then made again is listed once, as the later step.
    """
    opened = asked_run(request)
    steps, made = [], set()
    for batch, undo in reversed(opened.history()):
        what = tuple((decision.id, decision.choice) for decision in batch.decisions)
        if undo is None:
            made.add(what)
        if undo is None or what not in made:
            steps.append((batch, undo))
    return {"total": len(steps), "steps": [_step(opened, batch, undo) for batch, undo in steps[:STEPS]]}


def _step(opened: OpenRun, batch: Batch, undo: Undo | None) -> dict[str, Any]:
    """Return the values that the page shows for a batch. `undo` withdrew it; None while it is valid."""
    first = batch.decisions[0]
    choices = {decision.choice for decision in batch.decisions}
    return {
        "batch": batch.id,
        "valid": undo is None,
        "undone": undo and {"by": undo.reviewer, "time": undo.time},
        "time": first.time,
        "reviewer": first.reviewer,
        "note": first.note if len(batch.decisions) == 1 else "",
        "count": len(batch.decisions),
        "choice": first.choice if len(choices) == 1 else "",
        "id": first.id,
        "position": opened.position_of[first.id],
    }


DECISION_FUNCTIONS = [review_marks, review_decide, review_undo, review_redo, review_history]
