"""Bounds on the memory that a data set may need once it is decoded, however small its files are.

A hostile file of a few kilobytes may decode to gigabytes: by compression, by a dictionary whose one entry a million
rows repeat, or by JSON values that take 70 bytes of memory for 3 characters of text.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bye_core.data.faults import Refusal
from bye_core.files import StoredBytes

MEMORY_SETTING = "BYE_DATA_MEMORY"  # environment variable: megabytes that one data set may need at most
FREE_BYTES = 384 * 2**20  # a set may need this much memory, however small its files are (ours)
MOST_EXPANSION = 64  # bytes of memory for a byte of the files; short rows of compressed tables need 50 (ours)
RECORD_BYTES = 700  # memory of a sample or a fault without its texts, measured with CPython 3.11
LARGEST_TEXT = 16 * 2**20  # characters of one message, and bytes of one small file such as dataset_info.json (ours)
# Least memory of a JSON object, of a list, and of a further value in either, in bytes (CPython).
_OBJECT, _LIST, _VALUE = 200, 64, 32


class TooLargeDecoded(Refusal):
    problem = "{path} is refused: decoded, its records need more than {most} of memory, and its files have only {size}."
    remedy = "Split the data set into smaller ones. If you trust it, allow more megabytes with {setting}."


class LargeFile(Refusal):
    problem = "{path} is larger than {most}, so it is not read."
    remedy = "Check whether this is the right file."


def too_large(path: object, most: int, size: int) -> TooLargeDecoded:
    """Return the error for files of `size` bytes that need more than `most` bytes of memory."""
    return TooLargeDecoded(path=path, most=megabytes(most), size=megabytes(size), setting=MEMORY_SETTING)


def megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB" if size >= 10 * 2**20 else f"{size / 2**10:,.0f} kB"


def allowed_memory(size: int) -> int:
    """Return how many bytes of memory a data set with files of `size` bytes may need."""
    return min(most_memory(), max(FREE_BYTES, MOST_EXPANSION * size))


def most_memory() -> int:
    """Return how many bytes of memory a data set of any size may need: BYE_DATA_MEMORY, by default half of all."""
    chosen = os.environ.get(MEMORY_SETTING, "")
    return int(chosen) * 2**20 if chosen.isdecimal() and int(chosen) else _machine_memory() // 2


@lru_cache(maxsize=1)
def _machine_memory() -> int:
    import psutil

    total = psutil.virtual_memory().total
    try:  # the limit of a container
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return total


class Budget:
    """Counts the memory that the records of one data set need. `size`: the bytes of its files."""

    def __init__(self, path: object, size: int) -> None:
        self._path, self._size, self._most = path, size, allowed_memory(size)
        self._spent = 0

    def check_count(self, count: int) -> None:
        """Raise TooLargeDecoded if so many records need too much memory even without texts."""
        if count * RECORD_BYTES > self._most:
            raise too_large(self._path, self._most, self._size)

    def spend(self, texts: Iterable[Any]) -> int:
        """Count one record with these texts and return its bytes.

        Raises: TooLargeDecoded if the records need too much memory.
        """
        size = RECORD_BYTES + sum(map(sys.getsizeof, texts))
        self._spent += size
        if self._spent > self._most:
            raise too_large(self._path, self._most, self._size)
        return size


def json_memory(data: bytes) -> int:
    """Return the bytes of memory that parsing the JSON text `data` takes at least."""
    return len(data) + _OBJECT * data.count(b"{") + _LIST * data.count(b"[") + _VALUE * data.count(b",")


def check_json(path: Path, data: bytes | StoredBytes, size: int | None = None) -> None:
    """Raise TooLargeDecoded if the JSON text `data` has so many values that parsing it takes too much memory."""
    size = len(data) if size is None else size
    least = sum(map(json_memory, [data] if isinstance(data, bytes) else data.parts()))
    if least > (most := allowed_memory(size)):
        raise too_large(path, most, size)


def read_small_file(path: Path) -> bytes:
    """Read a file that describes a data set. Raises: LargeFile if it has more than LARGEST_TEXT bytes; OSError."""
    with path.open("rb") as file:
        data = file.read(LARGEST_TEXT + 1)
    if len(data) > LARGEST_TEXT:
        raise LargeFile(path=path, most=megabytes(LARGEST_TEXT))
    check_json(path, data)
    return data
