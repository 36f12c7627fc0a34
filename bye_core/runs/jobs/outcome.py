"""How a job ended, from what it said last and what its supervisor saw; pure functions of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RUNNING, DONE, FAILED, STOPPED, LOST = "running", "done", "failed", "stopped", "lost"

# Ended by a stop request: the shell's codes of Ctrl-C and SIGTERM, and death by either signal.
STOP_CODES = (130, 143, -2, -15)
KILLED = -9


@dataclass(frozen=True)
class Failure:
    """Why a job ended before it was done, and what to do about it."""

    kind: str
    problem: str
    remedy: str


def ended_as(words: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    """The state of a job whose process is gone. `words`: its last ones; `end`: the record of its exit, {} if none."""
    if "result" in words:
        return DONE
    if "error" in words:
        return FAILED
    if "stopped" in words or end.get("asked"):
        return STOPPED
    if not end:
        return LOST
    if end["exit"] == 0:
        return DONE
    return STOPPED if end["exit"] in STOP_CODES else FAILED


def why(state: str, words: Mapping[str, Any], end: Mapping[str, Any], log: str) -> Failure | None:
    """The failure of a job in that state, None where it did not fail. `log`: the end of its log."""
    if state == LOST:
        problem = "The job's process vanished without a word: it was killed, or the machine was started again."
        return Failure("Lost", problem, "Resume it: whatever it had committed is kept.")
    if state != FAILED:
        return None
    if "error" in words:
        return Failure(**{name: str(words["error"].get(name, "")) for name in ("kind", "problem", "remedy")})
    if end["exit"] == KILLED:
        problem = "The system killed the job's process, most likely because memory ran out."
        return Failure("Killed", problem, "Free memory or give it less at a time (a smaller batch), then resume it.")
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it said nothing")
    problem = f"The command ended with exit code {end['exit']}: {last}"
    return Failure("Crashed", problem, "Look into the job's log; mend the cause and resume it.")
