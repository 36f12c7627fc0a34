"""Reads and writes Alpaca records as LLaMA-Factory does.

A record has `instruction`, `input`, `output`, and optionally `history`, `system` and `images`. The columns have
LLaMA-Factory's names: `prompt` is the instruction, `query` the input, `response` the output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import Format, Layout, ParsedRecord, in_prompt_order, is_missing, question_answer_pairs
from bye_core.data.formats.cells import answer_texts, cell_text, named_images
from bye_core.data.formats.pairs import read_history, read_pairs
from bye_core.records import Turn


class Alpaca(Format):
    name = "alpaca"
    title = "Alpaca (LLaMA-Factory)"
    columns: ClassVar = {
        "id": "id",
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "history": "history",
        "system": "system",
        "images": "images",
    }
    file = "data.json"
    priority = 4

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return layout.columns["prompt"] in record and any(
            key in record for key in (layout.columns["response"], "chosen")
        )

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. The question is the instruction and the input, on lines of their own."""
        texts = [cell_text(layout.get(record, name), f"its {layout.columns[name]}") for name in ("prompt", "query")]
        question = "\n".join(text for text in texts if text)
        response = layout.get(record, "response")
        response = record.get("chosen") if is_missing(response) else response
        answers = answer_texts(response, name=f"its {layout.columns['response']}")
        history = read_history(layout.get(record, "history"))
        return read_pairs(
            layout.get(record, "id"),
            [*history, (question, next(iter(answers), ""))],
            named_images(record, layout),
            system=(record, layout),
            references=tuple(answers[1:]),
            images_first=False,
        )

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        system, pairs = question_answer_pairs(turns)
        record = {"id": id, "instruction": pairs[-1][0], "input": "", "output": pairs[-1][1]}
        record |= {"history": pairs[:-1]} if len(pairs) > 1 else {}
        record |= {"system": system} if system is not None else {}
        return record | {"images": in_prompt_order(turns, images)}

    def dataset_info(self) -> dict[str, Any]:
        columns = {name: key for name, key in self.columns.items() if name != "id"}
        return {"file_name": self.file, "formatting": "alpaca", "columns": columns}


FORMAT = Alpaca()
