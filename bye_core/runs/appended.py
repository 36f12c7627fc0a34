"""Append-only files of JSON lines: a line is whole or not there, and on disk before the caller goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bye_core.files import sync_folder, write_all
from bye_core.runs.errors import RunNotWritable


def whole_lines(path: Path) -> tuple[list[bytes], int]:
    """The lines and where they end: what follows the last line break was never acknowledged."""
    content = path.read_bytes() if path.exists() else b""
    end = content.rfind(b"\n") + 1
    return content[:end].splitlines(), end


def append_line(path: Path, value: Any, end: int) -> int:
    """Write one line at `end`, cutting off what a killed writer left there; returns the new end."""
    line = json.dumps(value).encode("ascii") + b"\n"
    try:
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            write_all(descriptor, line)
            os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, end)
            raise
        finally:
            os.close(descriptor)
        if new:
            sync_folder(path.parent)
    except OSError as error:
        raise RunNotWritable(path=path.parent, reason=error.strerror) from error
    return end + len(line)
