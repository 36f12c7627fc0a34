"""Writes files safely: after a crash, a file holds its old or its new content, or can be cut to a known length.

Also computes SHA-256 digests of files and turns records into JSON values.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from filelock import lock_descriptor

_PACKAGE = Path(__file__).resolve().parent
# Style sheets, scripts and the shipped demo: inside an installed package, or beside the package in a checkout.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
CHUNK = 1 << 22
JUST_CREATED = 2.0  # seconds after which a temporary file that no process holds is a left-over (ours)


def file_sha256(*paths: Path) -> str:
    """Return the SHA-256 digest, in hexadecimal, of one file or of several files joined in order."""
    digest = hashlib.sha256()  # not hashlib.file_digest: it needs Python 3.11 and takes only one file
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def read_regular(path: Path, most: int) -> bytes:
    """Return the content of a regular file. A named pipe or a device, which may never end, is not read.

    Raises: OSError if there is no such file, if it is no regular file, or if it has more than `most` bytes.
    """
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
            raise OSError(errno.EINVAL, f"no regular file of at most {most:,} bytes", str(path))
        return file.read(most)


class FileReader:
    """Reads parts of an open file by position, from any thread. Keeps the file open as long as it exists itself.

    unchanged  whether reading fails once the file has been changed
    """

    def __init__(self, file: BinaryIO, unchanged: bool = False) -> None:
        self._file, self._lock = file, Lock()
        self._facts = self._stamp() if unchanged else None

    def _stamp(self) -> tuple[int, int]:
        facts = os.fstat(self._file.fileno())
        return facts.st_size, facts.st_mtime_ns

    def read(self, start: int, length: int, short: bool = False) -> bytes:
        """Return `length` bytes from `start` on; with `short`, fewer if the file has no more. Raises: OSError."""
        if self._facts is not None and self._stamp() != self._facts:
            raise OSError(errno.ESTALE, "the file was changed after it was opened")
        if hasattr(os, "pread"):
            file, data = self._file.fileno(), b""
            while len(data) < length and (more := os.pread(file, length - len(data), start + len(data))):
                data += more
        else:
            with self._lock:
                self._file.seek(start)
                data = self._file.read(length)
        if len(data) < length and not short:
            raise OSError(errno.EIO, "the file has become shorter")
        return data


class StoredBytes:
    """The bytes of a file from `start` on, read when they are asked for. Slices like `bytes`.

    Raises: OSError if the file was changed after it was opened.
    """

    def __init__(self, path: Path, start: int = 0) -> None:
        file: Any = path.open("rb", buffering=0)
        self._reader, self._start = FileReader(file, unchanged=True), start
        self._length = os.fstat(file.fileno()).st_size - start

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice) -> bytes:
        start, end, _ = part.indices(self._length)
        return self._reader.read(self._start + start, max(0, end - start))

    def parts(self) -> Iterator[bytes]:
        """Yield the bytes in parts of CHUNK bytes."""
        return (self[start : start + CHUNK] for start in range(0, self._length, CHUNK))


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data`. `os.write` may write only a part; the next call then reports a full disk."""
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk: only then does a new or renamed file in it survive a power cut."""
    if os.name == "nt":
        return  # Windows cannot open a folder to sync it; NTFS journals the entry itself.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def appending(path: Path, end: int) -> Iterator[int]:
    """Yield a file descriptor that writes from byte `end` on, and flush the file to disk after the `with` block.

    First cuts off the bytes after `end`, which a killed process may have left. If the block fails, cuts the file to
    `end` again.
    """
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        os.ftruncate(descriptor, end)
        os.lseek(descriptor, end, os.SEEK_SET)
        try:
            yield descriptor
            os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync_folder(path.parent)


def hold(descriptor: int) -> None:
    """Mark an open temporary file or folder as in use, until it is closed or its process ends."""
    with suppress(OSError):  # a file system without locks
        lock_descriptor(descriptor, blocking=False)


def remove_leftovers(folder: Path, prefix: str, suffix: str) -> None:
    """Delete the temporary files and folders in `folder` that a killed process left. Keeps those in use."""
    for path in folder.iterdir():
        if path.name.startswith(prefix) and path.name.endswith(suffix) and not is_held(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def is_held(path: Path) -> bool:
    """Return whether a process uses a temporary file or folder (see `hold`), or has just created it."""
    try:
        if time.time() - path.lstat().st_mtime < JUST_CREATED:
            return True
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        return not lock_descriptor(descriptor, blocking=False)
    except OSError:
        return True
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file in one step: readers see the old content or all of the new content, even after a power cut.

    data  the content, or its parts in order
    """
    # Not mkstemp: only the owner could read its files, but a team shares a run folder.
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    remove_leftovers(path.parent, f".{path.name}-", ".tmp")
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            hold(descriptor)
            for part in [data] if isinstance(data, bytes) else joined(data):
                write_all(descriptor, part)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def joined(parts: Iterable[bytes], size: int = 2**18) -> Iterator[bytes]:
    """Yield the parts joined to pieces of at least `size` bytes, so that few calls write them."""
    held: list[bytes] = []
    length = 0
    for part in parts:
        held.append(part)
        length += len(part)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    yield b"".join(held)


def to_json_values(value: Any) -> Any:
    """Convert records, paths, sets and NumPy values to JSON values. NaN and infinity become None."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_json_values(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): to_json_values(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json_values(entry) for entry in value]
    if hasattr(value, "tolist"):
        return to_json_values(value.tolist())
    if isinstance(value, float) and not isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
