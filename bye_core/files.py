"""Whole files that are either old or new, never half: temp file, fsync, rename."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


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
