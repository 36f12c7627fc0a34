"""Identifies processes by number and start time, as the system reuses numbers; terminates and kills them."""

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
    """Return a mark of the start of process `pid`, "" if there is no such process or it is a zombie.

    On Linux the mark is the machine's boot and the clock ticks since then: the clock may be set while a job runs.
    """
    try:
        if sys.platform == "linux":
            # The second field, the name in brackets, may hold any text; the state and numbers follow it.
            state, *numbers = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode("ascii").split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return "" if state in "ZX" else f"{boot}:{numbers[18]}"
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except (OSError, psutil.Error):
        return ""


def is_alive(pid: int, born: str) -> bool:
    return bool(born) and birth(pid) == born


def terminate(pid: int, born: str) -> bool:
    """Send SIGTERM; return False if the process is gone."""
    if not is_alive(pid, born):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    return True


def wait_for_exit(pid: int, born: str, seconds: float) -> bool:
    """Wait for the process to end; return False if it still runs after so many seconds."""
    deadline = time.monotonic() + seconds
    while is_alive(pid, born):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def kill_tree(pid: int, born: str) -> None:
    """Kill the process, its group and all its descendants, also those in other groups."""
    if not is_alive(pid, born):
        return
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, KILL_SECONDS)
