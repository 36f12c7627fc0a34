"""Reads the JSON lines of `--progress jsonl`: the steps of a job, its rate, and its last line.

    {"time", "stage", "done", "total", "message", "facts"}      one per step
    {"result": {...}} | {"error": {"kind", "problem", "remedy"}} | {"stopped": true}      the last line
Skips all other lines, and an incomplete last line.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bye_core.records import Progress

RATE_SECONDS = 30.0
BLOCK_BYTES = 1 << 16
TAIL_BYTES = 1 << 22
FINAL_KEYS = ("result", "error", "stopped")


@dataclass(frozen=True)
class Step(Progress):
    """A Progress and the time at which it was written, in seconds since 1970."""

    time: float = 0.0


@dataclass(frozen=True)
class JobProgress(Step):
    """The newest step, its rate (items per second) and the remaining seconds; both are None while unknown.

    The remaining seconds are unknown, too, while the job is slower than its rate predicts.
    """

    rate: float | None = None
    seconds_left: float | None = None


class History(NamedTuple):
    """The steps after a byte offset of the log.

    end        byte offset from which to read the next steps
    restarted  whether the job was started again since the last read; the earlier steps are then obsolete
    """

    steps: tuple[Step, ...]
    end: int
    restarted: bool


def estimate_progress(steps: Sequence[Step], now: float) -> JobProgress | None:
    """Return the progress at the time `now` (seconds since 1970), None if there are no steps.

    Measures the rate over the last RATE_SECONDS of the stage, or over the last two steps if these took longer.
    """
    if not steps:
        return None
    last, first = steps[-1], steps[-1]
    for before in reversed(steps[:-1]):
        same = before.stage == last.stage and before.done <= first.done
        if not same or (first is not last and before.time < last.time - RATE_SECONDS):
            break
        first = before
    seconds, items = last.time - first.time, last.done - first.done
    rate = items / seconds if seconds > 0 and items > 0 else None
    left = (last.total - last.done) / rate if rate else None
    if left:
        left -= max(0.0, now - last.time)
    overdue = left is not None and left < 0
    return JobProgress(**vars(last), rate=rate, seconds_left=None if overdue else left)


def recent_steps(path: Path, begin: int) -> list[Step]:
    """Return the steps after byte offset `begin` that `estimate_progress` needs. Reads only the end of the file."""
    size, whole = BLOCK_BYTES, False
    while True:
        lines, whole = _tail(path, begin, size)
        steps = [step for line in lines if (step := _step(_parse(line)))]
        long_enough = steps and steps[0].time < steps[-1].time - RATE_SECONDS
        if whole or long_enough or (len(steps) > 1 and size >= TAIL_BYTES):
            return steps
        size *= 4


def final_line(path: Path, begin: int) -> dict[str, Any]:
    """Return the last line after byte offset `begin` if it is a result, an error or a stop; else {}."""
    lines: list[bytes] = []
    size, whole = BLOCK_BYTES, False
    while not (lines or whole):
        lines, whole = _tail(path, begin, size)
        size *= 4
    value = _parse(lines[-1]) if lines else {}
    return value if any(name in value for name in FINAL_KEYS) else {}


def steps_from(path: Path, start: int) -> tuple[tuple[Step, ...], int]:
    """Return (steps in the complete lines from byte offset `start` on, byte offset at which those lines end)."""
    data = _read(path, start)
    data = data[: data.rfind(b"\n") + 1]
    return tuple(step for line in data.split(b"\n") if (step := _step(_parse(line)))), start + len(data)


def begin_attempt(path: Path) -> int:
    """Return the byte offset at which the next attempt's lines begin.

    First appends a line break, because the last line may be incomplete. So the offset is larger than any offset that a
    reader of earlier attempts has reached.
    """
    with path.open("ab") as file:
        if file.tell():
            file.write(b"\n")
    return path.stat().st_size


def _tail(path: Path, begin: int, size: int) -> tuple[list[bytes], bool]:
    """Return (complete lines in the last `size` bytes after `begin`, whether these are all lines after `begin`)."""
    end = path.stat().st_size if path.exists() else 0
    start = max(begin, end - size)
    # Read one more byte, which shows whether the first line is complete.
    before = 1 if start > begin else 0
    lines = _read(path, start - before).split(b"\n")
    return lines[before:-1], not before


def read_end(path: Path, size: int) -> bytes:
    """Return the last `size` bytes of the file, b"" if it does not exist."""
    return _read(path, max(0, path.stat().st_size - size)) if path.exists() else b""


def _read(path: Path, start: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read()


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _step(value: dict[str, Any]) -> Step | None:
    try:
        return Step(
            stage=str(value["stage"]),
            done=int(value["done"]),
            total=int(value["total"]),
            message=str(value.get("message", "")),
            facts=dict(value.get("facts", {})),
            time=float(value["time"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
