"""Appends JSON lines to files. Each line is written completely or not at all, and is on disk when the call returns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bye_core.files import appending, write_all
from bye_core.runs.errors import RunNotWritable


def whole_lines(path: Path) -> tuple[list[bytes], int]:
    """Return (complete lines, offset after the last complete line). Ignores an incomplete line at the end."""
    content = path.read_bytes() if path.exists() else b""
    end = content.rfind(b"\n") + 1
    return content[:end].splitlines(), end


def append_line(path: Path, value: Any, end: int) -> int:
    """Write one line at byte offset `end` and return the new end. Overwrites data that a killed writer left there."""
    line = json.dumps(value).encode("ascii") + b"\n"
    try:
        with appending(path, end) as descriptor:
            write_all(descriptor, line)
    except OSError as error:
        raise RunNotWritable(path=path.parent, reason=error.strerror) from error
    return end + len(line)
