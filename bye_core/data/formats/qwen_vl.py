"""Reads and writes Qwen-VL JSON or JSONL: `image` (string or list), `conversations[{from, value}]`, usually no id.

The first version of Qwen-VL names images inside the text, as `Picture 1: <img>path</img>`; this form is read as well.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import (
    Format,
    ImageCell,
    Layout,
    ParsedRecord,
    image_cells,
    read_messages,
    reject_literal_markers,
    require_text,
    split_at_markers,
)
from bye_core.data.formats.llava import llava_record
from bye_core.records import Turn

_MARKER_OR_PATH = re.compile(r"<image>|<img>(?P<path>[^<>]*)</img>")
_SPEAKERS = {role: role for role in ("user", "assistant", "system")}


class QwenVl(Format):
    name = "qwen-vl"
    title = "Qwen-VL"
    columns: ClassVar = {"id": "id", "image": "image", "messages": "conversations"}
    file = "data.json"
    priority = 3

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        messages = layout.get(record, "messages")
        if not isinstance(messages, list) or "images" in record:
            return False
        speakers = {str(message.get("from")) for message in messages if isinstance(message, Mapping)}
        texts = [str(message.get("value")) for message in messages if isinstance(message, Mapping)]
        unnamed = layout.get(record, "id") is None or isinstance(layout.get(record, "image"), list)
        return unnamed or bool(speakers & {"user", "assistant"}) or any("</img>" in text for text in texts)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        images: list[ImageCell] = image_cells(layout.get(record, "image"))
        count = itertools.count()

        def image_index(match: re.Match[str]) -> int:
            path = match["path"]
            if path is None:
                return next(count)
            if path not in images:
                images.append(path)
            return images.index(path)

        turns = []
        for role, content in read_messages(layout.get(record, "messages")):
            text = require_text(content)
            parts = split_at_markers(text, image_index, _MARKER_OR_PATH) if role == "user" else (text,)
            turns.append(Turn(role, tuple(part for part in parts if part != "")))
        return ParsedRecord(layout.get(record, "id"), tuple(turns), tuple(images))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        reject_literal_markers(turns)
        return llava_record(id, turns, images, _SPEAKERS)


FORMAT = QwenVl()
