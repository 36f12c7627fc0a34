"""Identifies processes by process id and start time (the system reuses ids); terminates and kills processes."""

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
    """Return a text that identifies the start of process `pid`, "" if the process does not exist or is a zombie.

    On Linux the text is the boot id and the clock ticks since boot, because the wall clock may be changed meanwhile.
    """
    try:
        if sys.platform == "linux":
            # The second field, the program's name in brackets, may be any text; the state and the numbers follow it.
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
    """Send SIGTERM to the process; return False if it has already ended."""
    if not is_alive(pid, born):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    return True


def wait_for_exit(pid: int, born: str, seconds: float) -> bool:
    """Wait for the process to end; return False if it still runs after `seconds`."""
    deadline = time.monotonic() + seconds
    while is_alive(pid, born):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def kill_tree(pid: int, born: str) -> None:
    """Kill the process, its process group and all its descendants, including descendants in other groups."""
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
