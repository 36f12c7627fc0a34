"""Reads files of folders that may be hostile: regular files inside the folder only, with bounds on size and depth."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from bye_core.files import read_regular
from bye_core.models import bounds
from bye_core.models.errors import BrokenModel
from bye_core.models.folder_errors import FileTooLarge, SettingOutOfBounds, UnsafeFile

KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def listed(folder: Path) -> list[str]:
    """Return the names in a folder, sorted. Raises: BrokenModel if there are too many, or if it cannot be read."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > bounds.FOLDER_ENTRIES:
                    raise BrokenModel(path=folder, reason=f"it has more than {bounds.FOLDER_ENTRIES:,} files.")
    except OSError as error:
        raise BrokenModel(path=folder, reason=error) from error
    return sorted(names)


def roots(folder: Path) -> tuple[Path, ...]:
    """Return the folders in which the files of `folder` may lie: itself, and the blobs of its repository in the cache.

    In the cache of the hub, models--OWNER--NAME/snapshots/REVISION holds links to models--OWNER--NAME/blobs.
    """
    real = Path(os.path.realpath(folder))
    if real.parent.name == "snapshots" and real.parents[1].name.startswith("models--"):
        return real, real.parents[1] / "blobs"
    return (real,)


def checked(folder: Path, name: str, most: int | None = None) -> Path | None:
    """Return the real path of a file of a folder; None if there is no such file.

    Raises: UnsafeFile if the file is no regular file inside the folder; FileTooLarge above `most` bytes.
    """
    path = folder / name
    if not os.path.lexists(path):
        return None
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(root) for root in roots(folder)):
        raise UnsafeFile(path=folder, name=name, reason="its link leads out of the folder.")
    try:
        facts = real.lstat()
    except OSError as error:
        raise UnsafeFile(path=folder, name=name, reason="its link leads nowhere.") from error
    if not stat.S_ISREG(facts.st_mode):
        kind = next((words for test, words in KINDS if test(facts.st_mode)), "no regular file")
        raise UnsafeFile(path=folder, name=name, reason=f"it is {kind}.")
    if most is not None and facts.st_size > most:
        raise FileTooLarge(path=folder, name=name, size=facts.st_size, limit=most)
    blocks = getattr(facts, "st_blocks", None)
    if blocks is not None and facts.st_size >= bounds.HOLE_BYTES and blocks * 512 < bounds.HOLE_SHARE * facts.st_size:
        raise UnsafeFile(path=folder, name=name, reason="most of it is a hole without data.")
    return real


def read_bytes(folder: Path, name: str, most: int) -> bytes | None:
    """Return the content of a file of a folder; None if there is no such file. Raises as `checked` does."""
    real = checked(folder, name, most)
    if real is None:
        return None
    try:
        return read_regular(real, most)
    except OSError as error:
        raise BrokenModel(path=folder, reason=error) from error


def read_settings(
    folder: Path, name: str, most: int = bounds.CONFIG_BYTES, most_values: int = bounds.JSON_VALUES
) -> dict[str, Any] | None:
    """Return the content of a JSON file of a folder, an object; None if there is no such file.

    Raises: BrokenModel if it is damaged or no object; SettingOutOfBounds if it is nested too deeply or has too many
    values; and as `checked` does.
    """
    data = read_bytes(folder, name, most)
    if data is None:
        return None
    try:
        content = json.loads(data)
    except RecursionError as error:
        raise _too_deep(folder, name) from error
    except ValueError as error:
        raise BrokenModel(path=folder, reason=f"{name} is damaged: {error}.") from error
    if not isinstance(content, dict):
        raise BrokenModel(path=folder, reason=f"{name} is damaged: it is not a JSON object.")
    check_nesting(folder, name, content, most_values)
    return content


def check_nesting(folder: Path, name: str, content: Any, most_values: int) -> None:
    """Check the depth and the number of values of JSON. Raises: SettingOutOfBounds."""
    level, depth, values = [content], 0, 0
    while level:
        depth, values = depth + 1, values + len(level)
        if depth > bounds.JSON_DEPTH:
            raise _too_deep(folder, name)
        if values > most_values:
            expected = f"at most {most_values:,} values are accepted"
            raise SettingOutOfBounds(path=folder, file=name, field="its values", value="more", expected=expected)
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]


def _too_deep(folder: Path, name: str) -> SettingOutOfBounds:
    expected = f"at most {bounds.JSON_DEPTH} levels are accepted"
    return SettingOutOfBounds(path=folder, file=name, field="the depth of its values", value="more", expected=expected)
