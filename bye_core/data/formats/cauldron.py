"""Reads and writes The Cauldron's records, also those of Docmatix: `images`, and `texts[{user, assistant}]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.faults import MalformedRecord, value_type
from bye_core.data.formats.base import (
    CannotConvert,
    Format,
    Layout,
    ParsedRecord,
    in_prompt_order,
    json_list,
    question_answer_pairs,
)
from bye_core.data.formats.cells import cell_text, named_images
from bye_core.data.formats.pairs import read_pairs
from bye_core.records import Turn


class Cauldron(Format):
    name = "cauldron"
    title = "The Cauldron"
    columns: ClassVar = {"id": "id", "images": "images", "texts": "texts"}
    file = "data.jsonl"
    priority = 10

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        texts = json_list(layout.get(record, "texts"))
        return isinstance(texts, list) and any(isinstance(text, Mapping) and "user" in text for text in texts)

    def accepts(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return isinstance(json_list(layout.get(record, "texts")), list)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. All images come before the first question, as in the trainers of the set's authors."""
        texts = json_list(layout.get(record, "texts"))
        if not isinstance(texts, list):
            raise MalformedRecord(what=f"its {layout.columns['texts']} are {value_type(texts)}, not a list")
        pairs = []
        for number, text in enumerate(texts, start=1):
            if not isinstance(text, Mapping):
                raise MalformedRecord(what=f"text {number} is {value_type(text)}, not an object")
            names = ("user", "assistant")
            question, answer = (cell_text(text.get(name), f"the {name} of text {number}") for name in names)
            pairs.append((question, answer))
        return read_pairs(layout.get(record, "id"), pairs, named_images(record, layout))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        system, pairs = question_answer_pairs(turns)
        if system is not None:
            raise CannotConvert(why="The format has no system prompt")
        texts = [{"user": question, "assistant": answer} for question, answer in pairs]
        return {"id": id, "images": in_prompt_order(turns, images), "texts": texts}


FORMAT = Cauldron()
