"""Reads and writes the chat messages of TRL and Hugging Face.

A record has `images` and `messages[{role, content: [{type: image}, {type: text, text}]}]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import MARKER, Format, Layout, ParsedRecord, in_prompt_order, json_list, typed_messages
from bye_core.data.formats.messages import read_conversation
from bye_core.records import Turn


class Chat(Format):
    name = "chat"
    title = "chat messages (TRL, Hugging Face)"
    columns: ClassVar = {"id": "id", "images": "images", "image": "image", "messages": "messages"}
    file = "data.jsonl"
    priority = 8

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        messages = json_list(layout.get(record, "messages"))
        if not isinstance(messages, list):
            return False
        contents = [message.get("content") for message in messages if isinstance(message, Mapping)]
        plain = all(not isinstance(text, str) or MARKER not in text for text in contents)
        return any(isinstance(content, list | Mapping) for content in contents) or plain

    def accepts(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return isinstance(json_list(layout.get(record, "messages")), list)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        # If all contents are plain text, TRL puts all images before the first user message.
        return read_conversation(record, layout, json_list(layout.get(record, "messages")), images_first=True)

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        return {"id": id, "images": in_prompt_order(turns, images), "messages": typed_messages(turns)}


FORMAT = Chat()
