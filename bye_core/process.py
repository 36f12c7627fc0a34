"""Ending on request: SIGTERM and Ctrl-C become `Stopped`, and a child process ends when its parent is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

# CUDA, its libraries, HIP, MPS and the CPU allocator; torch.OutOfMemoryError is a RuntimeError with the first of them.
MEMORY_MESSAGES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
    "status_alloc_failed",
    "nvml_success == r internal assert failed",
)


# A process with this in its environment ends when its standard input does: when whoever holds the other end is gone.
TETHER = "BYE_TETHER"

# How long an unfinished batch may take to be saved before it is given up (ours); nothing saved is ever lost by it.
BATCH_SECONDS = 10.0
# A tethered process that is stuck is ended without ceremony after this (ours).
LAST_SECONDS = 2 * BATCH_SECONDS

STOPPING = b"\nstopping as soon as this batch is saved; Ctrl-C once more stops at once\n"


class Stopped(KeyboardInterrupt):
    """The process was asked to end; `code` is its exit code, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


class StopRequest:
    """Use as `with StopRequest() as stop` around the work: a signal raises Stopped in it.

    At once, unless the last `checkpoint` promised another: then there, where all is saved, or after so many seconds.
    A second signal is always obeyed at once.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._seconds = 0.0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                # Ignored on purpose by who started this, as a shell does with Ctrl-C for what runs in its background.
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
        """All is saved here. Promises, by `seconds` above 0, that the next checkpoint is worth waiting for so long."""
        if self._asked:
            raise Stopped(self._asked)
        self._seconds = seconds

    def asked(self, seconds: float) -> bool:
        """Whether to end. If not, promises to ask again soon, as `checkpoint` does; if so, save and call `obey`."""
        self._seconds = seconds
        return bool(self._asked)

    def obey(self) -> None:
        """End here, asked or told of it by another process."""
        raise Stopped(self._asked or signal.SIGTERM)

    def _hear(self, number: int, _: object) -> None:
        if self._asked or not self._seconds or not hasattr(signal, "setitimer"):
            raise Stopped(number)
        self._asked = number
        if number == signal.SIGINT:
            os.write(sys.__stderr__.fileno(), STOPPING)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def _too_late(self, *_: object) -> None:
        if self._asked:
            raise Stopped(self._asked)


def tether() -> None:
    """If this process was started with TETHER, ask it to end (SIGTERM) when its standard input ends."""
    if os.environ.pop(TETHER, ""):
        threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()


def _end_with(descriptor: int) -> None:
    while os.read(descriptor, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)
    os._exit(128 + signal.SIGTERM)


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in MEMORY_MESSAGES)
