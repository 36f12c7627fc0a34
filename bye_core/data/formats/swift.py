"""Reads and writes ms-swift records: `query`, `response`, and optionally `history`, `system`, `images`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import Format, Layout, ParsedRecord, in_prompt_order, question_answer_pairs
from bye_core.data.formats.cells import answer_texts, cell_text, named_images
from bye_core.data.formats.pairs import read_history, read_pairs
from bye_core.records import Turn


class Swift(Format):
    name = "swift"
    title = "query and response (ms-swift)"
    columns: ClassVar = {
        "id": "id",
        "query": "query",
        "response": "response",
        "history": "history",
        "system": "system",
        "images": "images",
    }
    file = "data.jsonl"
    priority = 3

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return layout.columns["query"] in record and layout.columns["response"] in record

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. Images without a marker come before the first question, as in ms-swift."""
        question = cell_text(layout.get(record, "query"), f"its {layout.columns['query']}")
        answers = answer_texts(layout.get(record, "response"), name=f"its {layout.columns['response']}")
        return read_pairs(
            layout.get(record, "id"),
            [*read_history(layout.get(record, "history")), (question, next(iter(answers), ""))],
            named_images(record, layout),
            system=(record, layout),
            references=tuple(answers[1:]),
            inline=True,
        )

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        system, pairs = question_answer_pairs(turns, tags=True)
        record = {"id": id, "query": pairs[-1][0], "response": pairs[-1][1], "history": pairs[:-1]}
        record |= {"system": system} if system is not None else {}
        return record | {"images": in_prompt_order(turns, images)}


FORMAT = Swift()
