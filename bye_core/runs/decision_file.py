"""Stores the decisions of analysts in an append-only file, one line per batch.

Each line is written completely or not at all, even if the process is killed, and has a checksum. An undo appends a
line: no line is ever removed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from bye_core.records import Decision
from bye_core.runs.append_log import Log, append_line, read_log
from bye_core.runs.checksums import ChecksumError
from bye_core.runs.errors import DamagedRun, NotText, UnknownChoice
from bye_core.runs.lock import locked

CHOICES = ("accept", "reject", "none")
UNDO = ({"undo"}, {"undo", "reviewer", "time"})  # the keys of an undo without and with a reviewer

# Saving a decision takes milliseconds, so a longer wait means that the disk hangs.
LOCK_SECONDS = 10.0


class Batch(NamedTuple):
    """The decisions that one call of `decide` recorded."""

    id: str
    decisions: tuple[Decision, ...]


class Undo(NamedTuple):
    """Who withdrew a batch, and when (UTC); each is "" if it was not recorded."""

    reviewer: str = ""
    time: str = ""


class DecisionFile:
    """The decisions of one run. Any number of processes may read and append."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_suffix(".lock")
        self._parsed: list[tuple[bytes | None, dict[str, Any]]] = []  # the lines read last, and what they hold

    def decide(self, decisions: Iterable[Decision]) -> str:
        """Append one batch and return its id, "" for an empty batch.

        Raises: UnknownChoice if a choice does not exist; RunBusy if another process holds the lock for too long;
        RunNotWritable if the folder cannot be written.
        """
        decisions = tuple(decisions)
        for decision in decisions:
            if not isinstance(decision.choice, str) or decision.choice not in CHOICES:
                raise UnknownChoice(choice=decision.choice, choices=", ".join(CHOICES))
            for name, value in vars(decision).items():
                if not isinstance(value, str):
                    raise NotText(name=name, value=value)
        if not decisions:
            return ""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with locked(self._lock, LOCK_SECONDS):
            lines, log = self._read()
            batch = f"{sum('decisions' in line for line in lines) + 1:06d}"
            stamped = [asdict(replace(d, batch=batch, time=d.time or now)) for d in decisions]
            append_line(self.path, {"batch": batch, "decisions": stamped}, log)
        return batch

    def undo(self, batch: str = "", reviewer: str = "") -> Batch | None:
        """Withdraw the batch with the id `batch` (default: the newest); return it, or None if there is none.

        A `reviewer` is recorded with the time. Raises: NotText if it is not a string.
        """
        if not isinstance(reviewer, str):
            raise NotText(name="reviewer", value=reviewer)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        who = {"reviewer": reviewer, "time": now} if reviewer else {}
        with locked(self._lock, LOCK_SECONDS):
            lines, log = self._read()
            candidates = [candidate for candidate in _valid_batches(lines) if not batch or candidate.id == batch]
            if not candidates:
                return None
            append_line(self.path, {"undo": candidates[-1].id, **who}, log)
        return candidates[-1]

    def batches(self) -> list[Batch]:
        """Return all batches that are not withdrawn, oldest first."""
        return _valid_batches(self._read()[0])

    def history(self) -> list[tuple[Batch, Undo | None]]:
        """Return all batches, oldest first, each with the undo that withdrew it; None while it is valid."""
        lines = self._read()[0]
        undos = {line["undo"]: Undo(line.get("reviewer", ""), line.get("time", "")) for line in lines if "undo" in line}
        every = _valid_batches([line for line in lines if "decisions" in line])
        return [(batch, undos.get(batch.id)) for batch in every]

    def current(self) -> dict[str, Decision]:
        """Return the valid decision of each sample, by id. Samples whose last choice is "none" are left out."""
        newest = {decision.id: decision for batch in self.batches() for decision in batch.decisions}
        return {id: decision for id, decision in newest.items() if decision.choice != "none"}

    def _read(self) -> tuple[list[dict[str, Any]], Log]:
        log, known = read_log(self.path), self._parsed
        parsed = [
            before if before is not None and before[0] == text else (text, self._parse(number, text))
            for number, (text, before) in enumerate(itertools.zip_longest(log.lines, known[: len(log.lines)]), 1)
        ]
        self._parsed = parsed
        return [line for _, line in parsed], log

    def _parse(self, number: int, text: bytes | None) -> dict[str, Any]:
        """Return a line as {"batch": id, "decisions": [Decision]} or {"undo": id}, also with its reviewer and time."""
        try:
            if text is None:
                raise ChecksumError
            line = json.loads(text)
            if isinstance(line, dict) and line.keys() in UNDO and all(isinstance(v, str) for v in line.values()):
                return line
            if not isinstance(line, dict) or line.keys() != {"batch", "decisions"}:
                raise ValueError("it holds neither decisions nor an undo")
            return {"batch": str(line["batch"]), "decisions": tuple(map(_decision, line["decisions"]))}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            # Skipping the line would silently change the decisions.
            advice = f"Or delete line {number}, and repeat the decisions of that batch."
            raise DamagedRun(file=self.path.name, detail=f"line {number}: {error}", advice=advice) from error


def _decision(fields: Any) -> Decision:
    """Return the decision with these fields. Raises: TypeError, ValueError or AttributeError if it is damaged."""
    # Earlier versions stored what they were given as reviewer, note and time.
    decision = Decision(**{name: "" if value is None else value for name, value in fields.items()})
    if not isinstance(decision.id, str) or decision.choice not in CHOICES:
        raise ValueError("it holds a decision that is not one of accept, reject and none")
    return decision


def _valid_batches(lines: Sequence[dict[str, Any]]) -> list[Batch]:
    """Return the batches that no undo withdraws, oldest first."""
    valid: list[Batch] = []
    for line in lines:
        if "decisions" in line:
            valid.append(Batch(line["batch"], line["decisions"]))
        else:
            valid = [batch for batch in valid if batch.id != line["undo"]]
    return valid
