"""Reads and writes caption sets: an image and its caption or captions, without a question."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.base import IMAGE_KEYS, CannotConvert, Format, Layout, ParsedRecord, is_missing
from bye_core.data.formats.cells import answer_texts, named_images
from bye_core.data.formats.pairs import read_pairs
from bye_core.records import Turn

QUESTION = "Describe the image."
CAPTION_KEYS = ("caption", "captions", "text", "txt", "sentences")
# With one of these keys, a text may be a question, or the words inside the image, instead of a caption.
_OTHER_KEYS = (
    "question", "questions", "question_id", "query", "prompt", "instruction", "answer", "answers", "label", "labels",
    "messages", "conversations", "response", "output", "completion",
)  # fmt: skip


class Captions(Format):
    name = "captions"
    title = "captions"
    columns: ClassVar = {"id": "id", "image": "image", "caption": "caption"}
    usual: ClassVar = {"image": IMAGE_KEYS, "caption": CAPTION_KEYS}
    file = "data.jsonl"
    priority = 2

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        image, caption = layout.key(record, "image", IMAGE_KEYS), layout.key(record, "caption", CAPTION_KEYS)
        return image in record and caption in record and all(is_missing(record.get(key)) for key in _OTHER_KEYS)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. Every caption has the same question: the user's, or QUESTION."""
        key = layout.key(record, "caption", CAPTION_KEYS)
        captions = answer_texts(record.get(key), name=f"its {key}")
        if captions and (keys := _json_keys(captions[0])):
            raise MalformedRecord(what=f"its {key} is JSON with the keys {keys}, not a caption")
        question = layout.question or QUESTION
        return read_pairs(
            layout.get(record, "id"),
            [(question, next(iter(captions), ""))],
            named_images(record, layout),
            references=tuple(captions[1:]),
            notes=(
                f"The texts under the key {key} are read as captions, with the question: {question} "
                "Use --question to set another question.",
            ),
        )

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        if [turn.role for turn in turns] != ["user", "assistant"] or len(images) != 1:
            raise CannotConvert(why="The sample is not one image with one caption")
        if turns[0].parts != (0, QUESTION):
            raise CannotConvert(why=f"Captions have no question, and the sample has another one than {QUESTION!r}")
        return {"id": id, "image": images[0], "caption": turns[1].text}


def _json_keys(text: str) -> str:
    """Return the keys of the object that a text holds as JSON; "" if it holds none."""
    if not text.lstrip().startswith("{"):
        return ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return ", ".join(value) if isinstance(value, dict) else ""


FORMAT = Captions()
