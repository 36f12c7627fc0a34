"""One writer at a time, by a lock that the operating system lets go of when its holder dies."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bye_core.files import write_all
from bye_core.runs.errors import RunBusy, RunNotWritable

POLL_SECONDS = 0.02

if sys.platform == "win32":
    import msvcrt

    # Windows locks bytes, and nobody may read those: take one far behind the holder's name.
    LOCKED_BYTE = 1 << 20

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        # flock, not lockf: it also keeps two Run objects of one process apart.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`; RunBusy if another holds it for longer than `wait` seconds.

    The file stays behind: what locks is the open handle, so one left by a killed process blocks nobody.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunNotWritable(path=path.parent, reason=error.strerror) from error
    try:
        _wait_for(descriptor, path, time.monotonic() + wait)
        _sign(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            return _take(descriptor)
        except OSError as error:
            if time.monotonic() >= deadline:
                os.lseek(descriptor, 0, os.SEEK_SET)
                holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
                raise RunBusy(path=path.parent, holder=holder) from error
        time.sleep(POLL_SECONDS)


def _sign(descriptor: int, path: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        write_all(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError as error:
        raise RunNotWritable(path=path.parent, reason=error.strerror) from error
