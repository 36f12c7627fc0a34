"""Ends a process on request: SIGTERM and Ctrl-C raise `Stopped`, and a child process ends with its parent.

Also recognises errors that mean that memory ran out.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from typing import Any

# Messages of CUDA, its libraries, HIP, MPS and the CPU allocator; torch.OutOfMemoryError contains the first.
MEMORY_MESSAGES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
    "status_alloc_failed",
    "nvml_success == r internal assert failed",
)

# A process with this environment variable ends when its standard input is closed, so it ends with its parent.
TETHER = "BYE_TETHER"

# Seconds to wait for an unfinished batch after a stop request (ours). Saved batches are never lost.
BATCH_SECONDS = 10.0
# A process that does not react to SIGTERM exits at once after this time (ours).
LAST_SECONDS = 2 * BATCH_SECONDS

# New objects that a process searches for garbage at a time (ours; Python 3.11's own number is 700). The objects that an
# import of torch and transformers creates stay: searched less often, they are there in a seventh less time (measured).
OBJECTS_AT_A_TIME = 10_000

STOPPING = b"\nStopping once this batch is saved. Press Ctrl-C again to stop at once.\n"


def collect_rarely() -> None:
    """Search for garbage less often, which shortens the imports. For processes that run one command."""
    gc.set_threshold(OBJECTS_AT_A_TIME, *gc.get_threshold()[1:])


class Stopped(KeyboardInterrupt):
    """The process must end with exit code `code`: 130 after Ctrl-C, 143 after SIGTERM, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


class StopRequest:
    """Makes SIGTERM and Ctrl-C raise Stopped inside `with StopRequest() as stop`.

    After `stop.checkpoint(seconds)`, the first signal raises Stopped only at the next call of `checkpoint`, or after
    that many seconds. In all other cases, and on a further Ctrl-C, Stopped is raised at once. A further SIGTERM repeats
    the same request, so it interrupts neither a save nor the end of a child process. If a library discards the
    exception, the next call of `checkpoint` raises it again.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._seconds = 0.0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                # Keep signals ignored that the parent ignores, as a shell ignores Ctrl-C for background jobs.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._hear)
            if hasattr(signal, "SIGALRM"):
                self._former[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._too_late)
        return self

    def __exit__(self, *_: object) -> None:
        if self._asked and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def checkpoint(self, seconds: float = 0.0) -> None:
        """Mark that everything is saved. A later signal waits up to `seconds` seconds for the next checkpoint.

        Raises: Stopped if a stop was requested.
        """
        if self._asked:
            raise Stopped(self._asked)
        self._seconds = seconds

    def asked(self, seconds: float) -> bool:
        """Return whether a stop was requested. If so, the caller must save and call `obey`.

        If not, a later signal waits up to `seconds` seconds for the next call, as with `checkpoint`.
        """
        self._seconds = seconds
        return bool(self._asked)

    def obey(self) -> None:
        """Raise Stopped, even if another process of the same training received the request."""
        raise Stopped(self._asked or signal.SIGTERM)

    def _hear(self, number: int, _: object) -> None:
        repeated, self._asked = bool(self._asked), self._asked or number
        if repeated and number == signal.SIGTERM:
            return
        if repeated or not self._seconds or not hasattr(signal, "setitimer"):
            raise Stopped(number)
        if number == signal.SIGINT:
            os.write(2, STOPPING)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def _too_late(self, *_: object) -> None:
        if self._asked:
            raise Stopped(self._asked)


def tether() -> None:
    """If the environment variable TETHER is set, send SIGTERM to this process when its standard input is closed."""
    if os.environ.pop(TETHER, ""):
        threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(128 + signal.SIGTERM)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, torch or a driver means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in MEMORY_MESSAGES)
