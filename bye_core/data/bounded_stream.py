"""Provides a stream that never yields more than a set number of bytes, and decompresses tar archives."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from typing import IO, Any

# tarfile reads a header of any announced size into memory; real headers have a few hundred bytes.
LARGEST_READ = 4 * 2**20
_OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}  # by first bytes


class LimitExceeded(Exception):
    """Raised if a stream would yield more bytes than allowed."""


def decompressed(packed: IO[bytes]) -> IO[bytes]:
    """Return a stream of the decompressed content if the file is gzip or bzip2; otherwise return the file itself.

    xz is not supported: its headers may demand 4 GB of memory.
    """
    head = packed.read(3)
    packed.seek(0)
    return next((open(packed, "rb") for magic, open in _OPENERS.items() if head.startswith(magic)), packed)


class BoundedReader:
    """A binary file that raises LimitExceeded after `limit` bytes. It has the methods that tarfile uses."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._limit = file, limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_READ or self._file.tell() + size > self._limit + LARGEST_READ:
            raise LimitExceeded
        return self._file.read(size)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position > self._limit:
            raise LimitExceeded
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if hasattr(self._file, "close"):
            self._file.close()
