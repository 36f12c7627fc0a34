"""Appends JSON lines to files. Each line is written completely or not at all, and is on disk when the call returns.

Every line has a checksum (see checksums). A flipped bit is repaired when the file is read; the file itself is repaired
before the next line is appended, and its damaged form is kept beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from bye_core.files import appending, write_all, write_atomic
from bye_core.runs.checksums import ChecksumError, seal, split_lines, unseal
from bye_core.runs.errors import RunNotWritable


class Log(NamedTuple):
    """The lines of a file.

    lines     text of each complete line without its checksum; None if the line is damaged
    end       offset after the last complete line
    repaired  whether a flipped bit was repaired
    """

    lines: tuple[bytes | None, ...] = ()
    end: int = 0
    repaired: bool = False


def read_log(path: Path) -> Log:
    """Return the complete lines of a file. Ignores an incomplete line at the end, which a killed writer left."""
    content = path.read_bytes() if path.exists() else b""
    end = content.rfind(b"\n") + 1
    rest = content[end:]
    repaired = bool(rest) and _is_exact(rest[:-1])  # the last line's end is damaged, not missing
    if repaired:
        content, end = content[:-1] + b"\n", len(content)
    raw = content[:end].split(b"\n")[:-1]
    split = split_lines(raw) if any(_unsealed(line) is None for line in raw) else raw
    opened = [_unsealed(line) for line in split]
    texts = tuple(line if line is None else line[0] for line in opened)
    return Log(texts, end, repaired or split != raw or any(line and line[1] for line in opened))


def _unsealed(line: bytes) -> tuple[bytes, bool] | None:
    try:
        text, _, repaired = unseal(line)
    except ChecksumError:
        return None
    return text, repaired


def _is_exact(line: bytes) -> bool:
    """Return whether a line has its checksum and needed no repair."""
    try:
        _, sealed, repaired = unseal(line)
    except ChecksumError:
        return False
    return sealed and not repaired


def append_line(path: Path, value: dict[str, Any], log: Log) -> Log:
    """Append one line to the file that `log` was read from; return the new log without its earlier lines.

    Overwrites data that a killed writer left after the last line. Raises: RunNotWritable.
    """
    line = seal(json.dumps(value).encode("ascii")) + b"\n"
    try:
        end = _rewrite(path, log) if log.repaired else log.end
        with appending(path, end) as descriptor:
            write_all(descriptor, line)
    except OSError as error:
        raise RunNotWritable(path=path.parent, reason=error.strerror) from error
    return Log((), end + len(line))


def _rewrite(path: Path, log: Log) -> int:
    """Write the repaired lines; keep the damaged file under another name. Return the new length."""
    if any(line is None for line in log.lines):
        return log.end  # a line is beyond repair: the file stays unchanged
    kept, number = path.with_name(f"{path.stem}.damaged{path.suffix}"), 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
    write_atomic(kept, path.read_bytes())
    data = b"".join(seal(line) + b"\n" for line in log.lines if line is not None)
    write_atomic(path, data)
    return len(data)
