"""Processes by number and birth: a number alone may by now be another process's."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import psutil

POLL_SECONDS = 0.05
KILL_SECONDS = 5.0


def birth(pid: int) -> str:
    """What tells process `pid` from a later one of that number; "" when no such process lives. A zombie does not.

    On Linux the machine's boot and the clock ticks since then: the time of day may be set while a job runs.
    """
    try:
        if sys.platform == "linux":
            # The second field, the name in brackets, may hold anything; after it come the state and numbers.
            state, *numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode("ascii").split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return "" if state in "ZX" else f"{boot}:{numbers[18]}"
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return ""


def lives(pid: int, born: str) -> bool:
    return bool(born) and birth(pid) == born


def ask_to_end(pid: int, born: str) -> bool:
    """Whether it was there to be asked."""
    if not lives(pid, born):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    return True


def wait_for_end(pid: int, born: str, seconds: float) -> bool:
    """Whether it ended in time."""
    deadline = time.monotonic() + seconds
    while lives(pid, born):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def kill_all(pid: int, born: str) -> None:
    """Kill the process, its group and all that descends from it, groups of their own included."""
    if not lives(pid, born):
        return
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, KILL_SECONDS)
