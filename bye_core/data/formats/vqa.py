"""Reads and writes a VQA table: `question`, `answer`, `image`, and optionally `id` or `question_id`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.base import (
    MARKER,
    CannotConvert,
    Format,
    Layout,
    ParsedRecord,
    image_cells,
    reject_literal_markers,
    split_at_markers,
    text_with_markers,
)
from bye_core.records import Turn


class VqaTable(Format):
    name = "vqa"
    title = "VQA table"
    columns: ClassVar = {
        "id": "id",
        "question_id": "question_id",
        "image": "image",
        "question": "question",
        "answer": "answer",
    }
    required = ("image", "question", "answer")
    file = "data.jsonl"
    priority = 0

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return layout.columns["question"] in record or layout.columns["answer"] in record

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. The images are put before the question unless the question has markers."""
        images = image_cells(layout.get(record, "image"))
        count = itertools.count()
        parts = split_at_markers(_cell(record, layout, "question"), lambda _: next(count))
        if not any(isinstance(part, int) for part in parts):
            parts = (*range(len(images)), *parts)
        answer = _cell(record, layout, "answer")
        turns = [Turn("user", parts)]
        if layout.get(record, "answer") is not None:
            turns.append(Turn("assistant", (answer,) if answer else ()))
        ids = [column for column in ("id", "question_id") if column in self.columns]
        return ParsedRecord(layout.get(record, *ids), tuple(turns), tuple(images))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        if [turn.role for turn in turns] != ["user", "assistant"] or len(images) != 1:
            raise CannotConvert(why="The sample is not one question with one image and one answer")
        reject_literal_markers(turns)
        text = text_with_markers(turns[0])
        if text.startswith(f"{MARKER}\n"):
            text = text[len(MARKER) + 1 :]
        return {"id": id, self.columns["image"]: images[0], "question": text, "answer": turns[1].text}


def _cell(record: Mapping[str, Any], layout: Layout, column: str) -> str:
    value = layout.get(record, column)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # tables hold answers like 3 as numbers
    raise MalformedRecord(what=f"its {column} is of type {type(value).__name__}, not text")


FORMAT = VqaTable()
