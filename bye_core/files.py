"""Files that are either old or new, never half: written anew beside the old one, or at an end that is known."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from math import isfinite
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
# Style sheets, scripts and the shipped demo: inside an installed package, or beside the package in a checkout.
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """`os.write` may take less than it is given; a full disk shows only on the next call."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """A new or renamed file survives a power cut only once its folder is on disk too."""
    if os.name == "nt":
        return  # Windows cannot open a folder to sync it; NTFS journals the entry itself.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def appending(path: Path, end: int) -> Iterator[int]:
    """A descriptor that writes at `end` of a file, what a killed writer left there cut off; synced afterwards. On a
    failure the file ends at `end` again."""
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


def write_atomic(path: Path, data: bytes) -> None:
    # Not mkstemp: its files are the owner's alone, and a run is there for a team.
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def plain(value: Any) -> Any:
    """Records, paths, sets and numpy's values as JSON has them; NaN and infinity, which it lacks, as null."""
    if is_dataclass(value):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
