"""Determines how a job ended, from the last line of its output and its exit.json. Reads no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RUNNING, DONE, FAILED, STOPPED, LOST = "running", "done", "failed", "stopped", "lost"

# Exit codes after a stop request: the shell's codes for Ctrl-C and SIGTERM, and those of a process killed by either.
STOP_CODES = (130, 143, -2, -15)
KILLED = -9


@dataclass(frozen=True)
class Failure:
    """Why a job failed or was lost, and what to do about it."""

    kind: str
    problem: str
    remedy: str


def final_state(line: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    """Return the state of a job whose process is gone.

    line  the last line of the job's output (progress_log.final_line)
    end   the content of its exit.json, {} if there is none
    """
    if "result" in line:
        return DONE
    if "error" in line:
        return FAILED
    if end.get("late") and not end.get("asked"):
        return FAILED
    if "stopped" in line or end.get("asked"):
        return STOPPED
    if not end:
        return LOST
    if end["exit"] == 0:
        return DONE
    return STOPPED if end["exit"] in STOP_CODES else FAILED


def failure_of(state: str, line: Mapping[str, Any], end: Mapping[str, Any], log: str) -> Failure | None:
    """Return why a job in `state` failed or was lost, None in every other state. `log`: the last lines of its log."""
    if state == LOST:
        problem = "The job ended without an exit record: its process was killed, or the machine was restarted."
        return Failure("Lost", problem, "Resume the job. Its saved results are kept.")
    if state != FAILED:
        return None
    if "error" in line:
        return Failure(**{name: str(line["error"].get(name, "")) for name in ("kind", "problem", "remedy")})
    if end.get("late"):
        problem = "The job was ended because its time was over."
        return Failure("TimeOver", problem, "Resume the job. Its saved results are kept.")
    if end["exit"] == KILLED:
        problem = "The system killed the job's process, most likely for lack of memory."
        return Failure("Killed", problem, "Free memory or use a smaller batch, then resume the job.")
    last = next((text.strip() for text in reversed(log.splitlines()) if text.strip()), "its log is empty")
    problem = f"The command ended with exit code {end['exit']}: {last}"
    return Failure("Crashed", problem, "Read the job's log, remove the cause and resume the job.")
