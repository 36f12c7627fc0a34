"""Reads LLaMA-Factory's dataset_info.json, which names the format, columns and roles of data sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bye_core.data.bounds import read_small_file
from bye_core.data.faults import Refusal, as_json
from bye_core.data.formats import FORMATS
from bye_core.data.formats.base import Layout
from bye_core.data.reading import ReadingOptions
from bye_core.data.sources import parse

INFO = "dataset_info.json"
INFO_LEVELS = 4  # folders above a file in which its dataset_info.json may be
# LLaMA-Factory's names of formats; without one, an entry is Alpaca.
FORMATTINGS = {"sharegpt": "sharegpt", "openai": "sharegpt", "alpaca": "alpaca"}
OPENAI_TAGS = {
    "role_tag": "role", "content_tag": "content",
    "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system",
}  # fmt: skip


class UnsupportedInfo(Refusal):
    problem = "The entry {name} of {path} cannot be used: {why}."
    remedy = "Correct the entry, or say how to read the file with --format and --columns."


def info_entries(info: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a dataset_info.json that name a file of this machine; {} if there are none."""
    if not info.is_file():
        return {}
    content = parse(read_small_file(info).decode("utf-8", "surrogateescape"))
    entries = {k: v for k, v in content.items() if isinstance(v, dict)} if isinstance(content, dict) else {}
    return {
        name: entry for name, entry in entries.items()
        if isinstance(entry.get("file_name"), str) and _is_path(entry["file_name"])
    }  # fmt: skip


def _is_path(text: str) -> bool:
    """Return whether a file can have this name: it holds neither NUL nor half a character."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def finds_info(info: Path, file: Path) -> bool:
    """Return whether `file` is near enough to find its dataset_info.json."""
    return os.path.realpath(info.parent) in map(str, Path(os.path.realpath(file)).parents[:INFO_LEVELS])


def entry_layout(info: Path, name: str, entry: Mapping[str, Any], reading: ReadingOptions) -> tuple[str | None, Layout]:
    """Return the format and the layout that an entry describes; (None, the usual) if the user named another format."""
    formatting = entry.get("formatting", "alpaca")
    format = FORMATTINGS.get(formatting) if isinstance(formatting, str) else None
    if reading.format not in (None, format):
        return None, Layout()
    if format not in FORMATS:
        known = ", ".join(FORMATTINGS)
        raise UnsupportedInfo(
            name=name, path=info, why=f"its formatting is {as_json(formatting)}, and only {known} are read"
        )
    columns, tags = entry.get("columns") or {}, entry.get("tags") or {}
    for part, given in (("columns", entry.get("columns", {})), ("tags", entry.get("tags", {}))):
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise UnsupportedInfo(name=name, path=info, why=f"its {part} are not an object of names")
    tags = {**(OPENAI_TAGS if formatting == "openai" else {}), **tags}
    names = {key: columns[key] for key in FORMATS[format].columns if key in columns and key != "id"}
    if "messages" in names and "conversations" in FORMATS[format].columns:
        names["conversations"] = names["messages"]
    return format, Layout(names, tags)
