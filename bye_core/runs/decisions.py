"""An analyst's decisions: an append-only file, a line a batch, synced before the caller goes on.

A batch is one line, so a kill leaves it whole or not at all. Undo is a line too: nothing is ever taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from bye_core.records import Decision
from bye_core.runs.append_log import append_line, whole_lines
from bye_core.runs.errors import DamagedRun, UnknownChoice
from bye_core.runs.lock import locked

CHOICES = ("accept", "reject", "none")

# Another window's decision takes milliseconds; longer than this is a stuck disk.
LOCK_SECONDS = 10.0


class Batch(NamedTuple):
    """What one call decided."""

    id: str
    decisions: tuple[Decision, ...]


class DecisionFile:
    """The decisions of one run; any number of processes may read and append."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")

    def decide(self, decisions: Iterable[Decision]) -> str:
        """Append one batch and return its id; nothing to append gives ""."""
        decisions = tuple(decisions)
        for decision in decisions:
            if decision.choice not in CHOICES:
                raise UnknownChoice(choice=decision.choice, choices=", ".join(CHOICES))
        if not decisions:
            return ""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with locked(self._lock, LOCK_SECONDS):
            lines, end = self._read()
            batch = f"{sum('decisions' in line for line in lines) + 1:06d}"
            stamped = [asdict(replace(d, batch=batch, time=d.time or now)) for d in decisions]
            append_line(self.path, {"batch": batch, "decisions": stamped}, end)
        return batch

    def undo(self, batch: str = "") -> Batch | None:
        """Withdraw the newest batch that still stands, or the one named; None where it does not stand."""
        with locked(self._lock, LOCK_SECONDS):
            lines, end = self._read()
            standing = [one for one in _standing(lines) if not batch or one.id == batch]
            if not standing:
                return None
            append_line(self.path, {"undo": standing[-1].id}, end)
        return standing[-1]

    def standing(self) -> list[Batch]:
        """The batches that are not withdrawn, oldest first."""
        return _standing(self._read()[0])

    def current(self) -> dict[str, Decision]:
        """The decision that stands for each id; withdrawn ones are left out."""
        lines, _ = self._read()
        newest = {decision.id: decision for batch in _standing(lines) for decision in batch.decisions}
        return {id: decision for id, decision in newest.items() if decision.choice != "none"}

    def _read(self) -> tuple[list[dict], int]:
        lines, end = whole_lines(self.path)
        return [self._line(number, text) for number, text in enumerate(lines, 1)], end

    def _line(self, number: int, text: bytes) -> dict:
        try:
            line = json.loads(text)
            if not isinstance(line, dict) or not line.keys() & {"decisions", "undo"}:
                raise ValueError("neither decisions nor an undo")
        except ValueError as error:
            # Skipping it would silently change what was decided.
            advice = f"Or take out line {number}, and decide that batch again."
            raise DamagedRun(file=self.path.name, detail=f"line {number}: {error}", advice=advice) from error
        return line


def _standing(lines: Sequence[dict]) -> list[Batch]:
    """The batches not undone, oldest first."""
    standing: list[Batch] = []
    for line in lines:
        if "decisions" in line:
            standing.append(Batch(line["batch"], tuple(Decision(**fields) for fields in line["decisions"])))
        else:
            standing = [batch for batch in standing if batch.id != line["undo"]]
    return standing
