"""Reads and writes a VQA table: `question`, `answer`, `image`, and optionally `id` or `question_id`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import (
    IMAGE_KEYS,
    MARKER,
    CannotConvert,
    Format,
    Layout,
    ParsedRecord,
    is_missing,
    reject_literal_markers,
    text_with_markers,
)
from bye_core.data.formats.cells import answer_texts, cell_text, named_images
from bye_core.data.formats.contents import NUMBERED_MARKER
from bye_core.data.formats.pairs import read_pairs
from bye_core.records import Turn

# Official VQA annotations have the majority answer, and the answers of ten people.
ANSWER_KEYS = ("answer", "multiple_choice_answer", "answers")
_CHOICES = ("choices", "options")


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
    usual: ClassVar = {"image": IMAGE_KEYS, "answer": ANSWER_KEYS}
    required = ("image", "question", "answer")
    file = "data.jsonl"
    priority = 0

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return layout.columns["question"] in record or layout.columns["answer"] in record

    def accepts(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return layout.columns["question"] in record or (bool(layout.question) and self.matches(record, layout))

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. The images are put before the question unless the question has markers.

        Further answers of a list are the references; see `answer_texts` for choices.
        """
        question = layout.get(record, "question")
        if is_missing(question) and layout.question:
            question = layout.question
        key = layout.key(record, "answer", ANSWER_KEYS)
        choices = next((record[name] for name in _CHOICES if isinstance(record.get(name), list)), None)
        answers = answer_texts(record.get(key), choices)
        ids = [column for column in ("id", "question_id") if column in self.columns]
        return read_pairs(
            layout.get(record, *ids),
            [(cell_text(question, "its question"), next(iter(answers), ""))],
            named_images(record, layout),
            references=tuple(answers[1:]),
        )

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        if [turn.role for turn in turns] != ["user", "assistant"] or len(images) != 1:
            raise CannotConvert(why="The sample is not one question with one image and one answer")
        reject_literal_markers(turns)
        text = text_with_markers(turns[0])
        if text.startswith(f"{MARKER}\n") and not NUMBERED_MARKER.search(text):
            text = text[len(MARKER) + 1 :]
        return {"id": id, self.columns["image"]: images[0], "question": text, "answer": turns[1].text}


FORMAT = VqaTable()
