"""The JSON lines of `--progress jsonl`, read back: where a job stands, and what it said last.

    {"time", "stage", "done", "total", "message", "facts"}      one a step
    {"result": {...}} | {"error": {"kind", "problem", "remedy"}} | {"stopped": true}      the last words
Any other line, and a last one that is torn, is passed over.
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
LAST_WORDS = ("result", "error", "stopped")


@dataclass(frozen=True)
class Step(Progress):
    """A Progress and when it was written, in seconds since 1970."""

    time: float = 0.0


@dataclass(frozen=True)
class Standing(Step):
    """The newest step, with its rate in items a second and the seconds left; None while those are unknown."""

    rate: float | None = None
    seconds_left: float | None = None


class History(NamedTuple):
    """`place` is where to read on; `anew` says that the job was started again since: forget the steps read before."""

    steps: tuple[Step, ...]
    place: int
    anew: bool


def standing(steps: Sequence[Step], now: float) -> Standing | None:
    """Where the last of `steps` stands at the time `now`; None without steps.

    The rate is that of the last RATE_SECONDS of its stage, or of the last two steps where they took longer.
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
    left = max(0.0, (last.total - last.done) / rate - max(0.0, now - last.time)) if rate else None
    return Standing(**vars(last), rate=rate, seconds_left=left)


def recent_steps(path: Path, begin: int) -> list[Step]:
    """The steps after byte `begin` that `standing` needs, read from the end of the file."""
    size, whole = BLOCK_BYTES, False
    while True:
        lines, whole = _tail(path, begin, size)
        steps = [step for line in lines if (step := _step(_parse(line)))]
        long_enough = steps and steps[0].time < steps[-1].time - RATE_SECONDS
        if whole or long_enough or (len(steps) > 1 and size >= TAIL_BYTES):
            return steps
        size *= 4


def last_words(path: Path, begin: int) -> dict[str, Any]:
    """The result, error or stop that the lines after `begin` end with, or {}."""
    size, lines, whole = BLOCK_BYTES, [], False
    while not (lines or whole):
        lines, whole = _tail(path, begin, size)
        size *= 4
    value = _parse(lines[-1]) if lines else {}
    return value if any(name in value for name in LAST_WORDS) else {}


def steps_from(path: Path, place: int) -> tuple[tuple[Step, ...], int]:
    """All steps of the whole lines from byte `place` on, and where those lines end."""
    data = _read(path, place)
    data = data[: data.rfind(b"\n") + 1]
    return tuple(step for line in data.split(b"\n") if (step := _step(_parse(line)))), place + len(data)


def begin_attempt(path: Path) -> int:
    """Where the next attempt's lines begin: behind a line break, for the last line may be torn, and so behind every
    place that a reader of the attempts before can have reached."""
    with path.open("ab") as file:
        if file.tell():
            file.write(b"\n")
    return path.stat().st_size


def _tail(path: Path, begin: int, size: int) -> tuple[list[bytes], bool]:
    """The whole lines in the last `size` bytes after `begin`, and whether those are all there are."""
    end = path.stat().st_size if path.exists() else 0
    place = max(begin, end - size)
    # One byte more tells whether the first line is whole.
    before = 1 if place > begin else 0
    lines = _read(path, place - before).split(b"\n")
    return lines[before:-1], not before


def read_end(path: Path, size: int) -> bytes:
    """The last `size` bytes, b"" of a file that is not there."""
    return _read(path, max(0, path.stat().st_size - size)) if path.exists() else b""


def _read(path: Path, place: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(place)
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
