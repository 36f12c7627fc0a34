"""A stream out of which no more than a set number of bytes ever comes, however it is read."""

from __future__ import annotations

import bz2
import gzip
import os
from typing import IO

# tarfile takes headers of any announced size into memory at once; real ones are a few hundred bytes.
LARGEST_READ = 4 * 2**20
_HEADS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}


class TooMuch(Exception):
    """More would come out than is allowed."""


def opened(packed: IO[bytes]) -> IO[bytes]:
    """The bytes inside a gzip or bzip2 file, or the file itself. Not xz: its headers may ask for 4 GB of memory."""
    head = packed.read(3)
    packed.seek(0)
    return next((open(packed, "rb") for magic, open in _HEADS.items() if head.startswith(magic)), packed)


class Bounded:
    """As much of a binary file as tarfile asks for: read, seek, tell."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._limit = file, limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_READ or self._file.tell() + size > self._limit + LARGEST_READ:
            raise TooMuch
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or place > self._limit:
            raise TooMuch
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if hasattr(self._file, "close"):
            self._file.close()
