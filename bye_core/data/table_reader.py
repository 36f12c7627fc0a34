"""Decodes the rows of Arrow tables in a process of its own, whose memory is limited.

A hostile table may decode to any size, and pyarrow has no limit of its own. It may also end the process that reads it.
A reader process that grows too large is ended, and the next one reads fewer rows at once.

The main module of the reader process is this one. It reads requests from standard input and writes frames to standard
output: a length of 8 bytes, then a pickle of a list of rows, or of the reason why the table cannot be read.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from bye_core.data.bounds import FREE_BYTES, most_memory, too_large
from bye_core.data.formats.base import EMBEDDED_IMAGE, OTHER_VALUE
from bye_core.data.sources import Unreadable
from bye_core.data.text_files import NotReadable

BATCH = 64  # number of rows decoded at once; 64 MB if each has an image of 1 MB
BATCHES = (BATCH, 8, 1)  # after a reader that grew too large, the next one decodes fewer rows at once
EXPANSION = 3  # a table's page may be as large as its file, and is held up to three times while it is decoded
POLL_SECONDS = 0.02
IDLE_SECONDS = 60.0  # after which an idle reader ends
_LENGTH = struct.Struct("<Q")
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


_IDLE: list[subprocess.Popen[bytes]] = []  # at most one
_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_IDLE.clear)  # a reader answers one process only


class _GrewTooLarge(Exception):
    """The reader process needed too much memory, or pyarrow ended it."""


def reader_memory(size: int) -> int:
    """Return how many bytes the reader of a table with files of `size` bytes may need, besides its libraries."""
    return min(most_memory(), max(FREE_BYTES, EXPANSION * size))


def decoded_rows(path: Path, size: int, batches: tuple[int, ...] = BATCHES) -> Iterator[tuple[int, list[Any]]]:
    """Yield (rows decoded at once, rows) for a parquet file or a saved data set; binary cells are EMBEDDED_IMAGE.

    size  bytes of the files of the table
    Raises: NotReadable if the table cannot be read; TooLargeDecoded if a single row needs too much memory.
    """
    done = 0
    for batch in batches:
        try:
            for rows in _read(path, size, batch, done):
                yield batch, rows
                done += len(rows)
            return
        except _GrewTooLarge:
            continue
    raise too_large(path, reader_memory(size), size)


def _read(path: Path, size: int, batch: int, skip: int) -> Iterator[list[Any]]:
    memory = reader_memory(size)
    request = {"path": os.path.abspath(path), "batch": batch, "skip": skip, "memory": memory}
    process, frame = _answering(path, request, memory)
    ended, complete = threading.Event(), False
    threading.Thread(target=_end_if_large, args=(process, memory, ended), daemon=True).start()
    try:
        while isinstance(frame, list) and frame:
            yield frame
            frame = _frame(process, memory)
        complete = True
        if isinstance(frame, str):
            raise NotReadable(path=path, why=frame)
    finally:
        ended.set()
        _release(process, complete)


def _answering(path: Path, request: Mapping[str, Any], memory: int) -> tuple[subprocess.Popen[bytes], Any]:
    """Return (a reader process, its first frame). Starts a new process if the idle one has ended meanwhile."""
    with _LOCK:
        process = _IDLE.pop() if _IDLE else None
    while True:
        fresh = process is None
        process = process or _start(path)
        ended = threading.Event()
        threading.Thread(target=_end_if_large, args=(process, memory, ended), daemon=True).start()
        try:
            assert process.stdin is not None  # for the type checker: it is a pipe
            process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            process.stdin.flush()
            return process, _frame(process, memory)
        except (OSError, _GrewTooLarge):
            _release(process, complete=False)
            if fresh:
                raise _GrewTooLarge from None
            process = None
        finally:
            ended.set()


def _start(path: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "bye_core.data.table_reader"]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environment)
    except OSError as error:
        raise NotReadable(path=path, why=f"its reader process does not start ({error.strerror})") from error


def _release(process: subprocess.Popen[bytes], complete: bool) -> None:
    """Keep a reader that has answered completely for the next table, unless one is idle already; end it otherwise."""
    with _LOCK:
        if complete and not _IDLE and process.poll() is None:
            _IDLE.append(process)
            return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _end_if_large(process: subprocess.Popen[bytes], memory: int, ended: threading.Event) -> None:
    """End the reader when it has grown by `memory` bytes, on systems that do not limit the memory of a process."""
    import psutil

    with contextlib.suppress(psutil.Error):
        reader, least = psutil.Process(process.pid), None
        while not ended.wait(POLL_SECONDS):
            used = reader.memory_info()
            private = used.rss - getattr(used, "shared", 0)  # pages of the table's file are shared
            least = private if least is None else min(least, private)
            if private - least > memory + 128 * 2**20:  # its libraries are loaded in the meantime
                process.kill()
                return


def _frame(process: subprocess.Popen[bytes], memory: int) -> list[Any] | str:
    """Return the next rows, [] after the last one, or the reason why the table cannot be read."""
    pipe = process.stdout
    assert pipe is not None  # for the type checker
    head = pipe.read(_LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else memory + 1
    data = pipe.read(length) if length <= memory else b""
    if len(data) < length:
        raise _GrewTooLarge
    try:
        frame = _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises anything
        raise _GrewTooLarge from error
    if not isinstance(frame, list | str):
        raise _GrewTooLarge
    return frame


class _Unpickler(pickle.Unpickler):
    """Reads what a reader process wrote. Builds plain values only, because a hostile table may control the process."""

    def find_class(self, module: str, name: str) -> Any:
        known = {"EMBEDDED_IMAGE": EMBEDDED_IMAGE, "OTHER_VALUE": OTHER_VALUE, "Unreadable": Unreadable}
        if name not in known:
            raise pickle.UnpicklingError(name)
        return known[name]


def _write(pipe: IO[bytes], frame: list[Any] | str) -> None:
    data = pickle.dumps(frame, protocol=5)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _limit_memory(more: int) -> None:
    """Let allocations fail when the process needs `more` bytes than now. Linux only."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            data = int(file.read().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (data + more, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    except (ImportError, OSError, ValueError):
        return  # the other process ends this one


def _serve(request: Mapping[str, Any]) -> None:
    from bye_core.data.tables import batches_of_rows

    _limit_memory(request["memory"])
    pipe = sys.stdout.buffer
    try:
        for rows in batches_of_rows(Path(request["path"]), request["batch"], request["skip"]):
            _write(pipe, rows)
        _write(pipe, [])
    except NotReadable as error:
        if isinstance(error.__cause__, MemoryError):
            raise
        _write(pipe, str(error.facts["why"]))


def main() -> None:
    """Answer requests, one JSON object a line, until the other process ends or sends none for a minute."""
    import pyarrow.parquet  # noqa: F401 - loaded before the memory is limited

    while True:
        timer = threading.Timer(IDLE_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        line = sys.stdin.buffer.readline()
        timer.cancel()
        if not line:
            return
        _serve(json.loads(line))


if __name__ == "__main__":
    main()
