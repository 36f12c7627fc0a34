"""A VQA table: `question`, `answer`, `image`, and `id` or `question_id` where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.data.formats.draft import Draft, Layout, table_draft, table_row
from bye_core.records import Turn

COLUMNS = {
    "id": "id",
    "question_id": "question_id",
    "image": "image",
    "question": "question",
    "answer": "answer",
}
REQUIRED = ("image", "question", "answer")
FILE = "data.jsonl"


def matches(record: Mapping[str, Any], layout: Layout) -> bool:
    return layout.names["question"] in record or layout.names["answer"] in record


def read(record: Mapping[str, Any], layout: Layout) -> Draft:
    draft = table_draft(record, layout)
    return Draft(layout.get(record, "id", "question_id"), draft.turns, draft.pictures)


def write(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...]) -> dict[str, Any]:
    return table_row(id, turns, pictures, COLUMNS["image"])
