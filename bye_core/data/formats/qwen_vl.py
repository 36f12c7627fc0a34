"""Reads and writes Qwen-VL JSON or JSONL: `image` (string or list), `conversations[{from, value}]`, usually no id.

The first version of Qwen-VL names images inside the text, as `Picture 1: <img>path</img>`; this form is read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import Format, Layout, ParsedRecord, json_list, reject_literal_markers
from bye_core.data.formats.llava import llava_record
from bye_core.data.formats.messages import read_conversation
from bye_core.records import Turn

_SPEAKERS = {role: role for role in ("user", "assistant", "system")}


class QwenVl(Format):
    name = "qwen-vl"
    title = "Qwen-VL"
    columns: ClassVar = {"id": "id", "image": "image", "messages": "conversations"}
    file = "data.json"
    priority = 7

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        messages = json_list(layout.get(record, "messages"))
        if not isinstance(messages, list) or "images" in record:
            return False
        speakers = {str(message.get("from")) for message in messages if isinstance(message, Mapping)}
        texts = [str(message.get("value")) for message in messages if isinstance(message, Mapping)]
        unnamed = layout.get(record, "id") is None or isinstance(layout.get(record, "image"), list)
        return unnamed or bool(speakers & {"user", "assistant"}) or any("</img>" in text for text in texts)

    def accepts(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return isinstance(json_list(layout.get(record, "messages")), list)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        return read_conversation(record, layout, json_list(layout.get(record, "messages")), inline=True)

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        reject_literal_markers(turns, tags=True)
        return llava_record(id, turns, images, _SPEAKERS)


FORMAT = QwenVl()
