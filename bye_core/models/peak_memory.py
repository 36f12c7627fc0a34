"""Measures the peak memory of a piece of work: of the GPU, or of this process on Linux."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MIB = 2**20
# Parameters of glibc's mallopt, and the size from which a block of memory comes straight from the system and goes
# straight back: else memory that earlier work freed would hide the peak of later work.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, DIRECT = -1, -3, 65_536


def peak_memory(work: Callable[[], object], device: torch.device) -> float | None:
    """Run `work` and return the peak of its memory above that before, in MiB; None if it cannot be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return float(torch.cuda.max_memory_allocated(device) - before) / MIB
    if not RESET.exists() or not _return_memory():
        return None
    resting = _status("VmRSS")
    RESET.write_text("5")  # resets VmHWM to the present
    work()
    return max(0.0, _status("VmHWM") - resting)


def _return_memory() -> bool:
    """Make the allocator return freed memory to the system; return whether it can."""
    try:
        library = ctypes.CDLL(None)
        done = all(library.mallopt(name, DIRECT) for name in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD))
        library.malloc_trim(0)
        return done
    except (OSError, AttributeError):
        return False


def _status(field: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
