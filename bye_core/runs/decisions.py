"""An analyst's decisions: an append-only file, a line a batch, synced before the caller goes on.

A batch is one line, so a kill leaves it whole or not at all. Undo is a line too: nothing is ever taken out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from bye_core.files import sync_folder, write_all
from bye_core.records import Decision
from bye_core.runs.errors import DamagedRun, RunNotWritable, UnknownChoice
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
            self._append({"batch": batch, "decisions": stamped}, end)
        return batch

    def undo(self, batch: str = "") -> Batch | None:
        """Withdraw the newest batch that still stands, or the one named; None where it does not stand."""
        with locked(self._lock, LOCK_SECONDS):
            lines, end = self._read()
            standing = [one for one in _standing(lines) if not batch or one.id == batch]
            if not standing:
                return None
            self._append({"undo": standing[-1].id}, end)
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
        """The whole lines and where they end: what follows the last line break was never acknowledged."""
        content = self.path.read_bytes() if self.path.exists() else b""
        end = content.rfind(b"\n") + 1
        return [self._line(number, text) for number, text in enumerate(content[:end].splitlines(), 1)], end

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

    def _append(self, line: dict, end: int) -> None:
        try:
            new = not self.path.exists()
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            try:
                os.ftruncate(descriptor, end)
                os.lseek(descriptor, end, os.SEEK_SET)
                write_all(descriptor, json.dumps(line).encode("ascii") + b"\n")
                os.fsync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, end)
                raise
            finally:
                os.close(descriptor)
            if new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise RunNotWritable(path=self.path.parent, reason=error.strerror) from error


def _standing(lines: Sequence[dict]) -> list[Batch]:
    """The batches not undone, oldest first."""
    standing: list[Batch] = []
    for line in lines:
        if "decisions" in line:
            standing.append(Batch(line["batch"], tuple(Decision(**fields) for fields in line["decisions"])))
        else:
            standing = [batch for batch in standing if batch.id != line["undo"]]
    return standing
