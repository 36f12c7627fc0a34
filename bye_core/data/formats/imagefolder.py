"""An image folder: metadata.jsonl or metadata.csv with `file_name`, `question` and `answer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.data.formats.draft import Draft, Layout, table_draft, table_row
from bye_core.records import Turn

COLUMNS = {"id": "id", "image": "file_name", "question": "question", "answer": "answer"}
REQUIRED = ("image", "question", "answer")
FILE = "metadata.jsonl"


def matches(record: Mapping[str, Any], layout: Layout) -> bool:
    """By its one fixed column; a table whose picture column is renamed is a VQA table."""
    return layout.names["image"] == COLUMNS["image"] and COLUMNS["image"] in record


def read(record: Mapping[str, Any], layout: Layout) -> Draft:
    return table_draft(record, layout)


def write(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...]) -> dict[str, Any]:
    return table_row(id, turns, pictures, COLUMNS["image"])
