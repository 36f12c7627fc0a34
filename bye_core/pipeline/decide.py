"""Records and withdraws decisions on a run's samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bye_core import runs
from bye_core.pipeline.detect import last_detection
from bye_core.records import Decision


def decide(
    run_path: Path,
    choices: Mapping[str, str] | None = None,
    reject_flagged: bool = False,
    reviewer: str = "",
    note: str = "",
) -> int:
    """Record the decisions in `choices` ({sample id: "accept", "reject" or "none"}); return how many were recorded.

    `reject_flagged` also rejects every flagged sample without a decision.
    """
    run = runs.Run.open(run_path)
    decided = run.decisions()
    wanted = dict(choices or {})
    if reject_flagged:
        flagged = last_detection(run).flagged_ids
        wanted = {**{id: "reject" for id in flagged if id not in decided}, **wanted}
    batch = [Decision(id=id, choice=choice, reviewer=reviewer, note=note) for id, choice in wanted.items()]
    if batch:
        run.decide(batch)
    return len(batch)


def undo(run_path: Path) -> int:
    """Withdraw the last batch of decisions; return the number of decisions in it."""
    withdrawn = runs.Run.open(run_path).undo()
    return len(withdrawn.decisions) if withdrawn else 0
