"""Lock files that allow one writer at a time. The operating system releases a lock when its process ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from bye_core.files import write_all
from bye_core.runs.errors import RunBusy, RunNotWritable

POLL_SECONDS = 0.02


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` while the `with` block runs; the file names its holder for other processes.

    The lock is on the open file, so the leftover file of a killed process blocks nobody. The lock also excludes other
    threads of this process.

    Raises: RunBusy if another thread or process holds the lock for longer than `wait` seconds; RunNotWritable if the
    lock file cannot be created or locked.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunNotWritable(path=path.parent, reason=error.strerror) from error
    try:
        try:
            _acquire(descriptor, path, time.monotonic() + wait)
        except OSError as error:  # for example on a network drive that does not support locks
            raise RunNotWritable(path=path.parent, reason=error.strerror) from error
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> None:
    while not lock_descriptor(descriptor, blocking=False):
        if time.monotonic() >= deadline:
            os.lseek(descriptor, 1, os.SEEK_SET)  # Windows locks the first byte: other processes cannot read it
            holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
            raise RunBusy(path=path.parent, holder=holder or "another process")
        time.sleep(POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    write_all(descriptor, f"\nprocess {os.getpid()} on {socket.gethostname()}\n".encode())
