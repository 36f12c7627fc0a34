"""Reads and writes the chat messages of TRL and Hugging Face.

A record has `images` and `messages[{role, content: [{type: image}, {type: text, text}]}]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.base import (
    MARKER,
    Format,
    ImageCell,
    Layout,
    ParsedRecord,
    image_cell,
    image_cells,
    in_prompt_order,
    read_messages,
    require_text,
)
from bye_core.records import Turn

_KEYS = (("role", "content"),)
_IMAGE_KEYS = ("image", "path", "url", "image_url")


class Chat(Format):
    name = "chat"
    title = "chat messages (TRL, Hugging Face)"
    columns: ClassVar = {"id": "id", "images": "images", "image": "image", "messages": "messages"}
    file = "data.jsonl"
    priority = 4

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        messages = layout.get(record, "messages")
        if not isinstance(messages, list):
            return False
        contents = [message.get("content") for message in messages if isinstance(message, Mapping)]
        plain = all(isinstance(text, str) and MARKER not in text for text in contents)
        return any(isinstance(content, list) for content in contents) or plain

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        reader = _ContentReader(image_cells(layout.get(record, "images", "image")))
        messages = list(read_messages(layout.get(record, "messages"), _KEYS))
        turns = [Turn(role, reader.parts(content)) for role, content in messages]
        if all(isinstance(content, str) for _, content in messages):
            # If contents are plain text, TRL puts all images before the first user message.
            first = next((k for k, turn in enumerate(turns) if turn.role == "user"), None)
            if first is not None:
                turns[first] = Turn("user", (*range(len(reader.images)), *turns[first].parts))
        return ParsedRecord(layout.get(record, "id"), tuple(turns), tuple(reader.images))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        messages = [{"role": turn.role, "content": [_entry(part) for part in turn.parts]} for turn in turns]
        return {"id": id, "images": in_prompt_order(turns, images), "messages": messages}


def _entry(part: str | int) -> dict[str, str]:
    return {"type": "image"} if isinstance(part, int) else {"type": "text", "text": part}


class _ContentReader:
    """Reads the contents of one record's messages and numbers its images."""

    def __init__(self, images: list[ImageCell]) -> None:
        self.images = images
        self._next = 0

    def parts(self, content: Any) -> tuple[str | int, ...]:
        """Return the parts of a Turn: texts and image numbers. Raises:

        MalformedRecord if the content has another structure.
        """
        if not isinstance(content, list):
            content = [{"type": "text", "text": require_text(content)}]
        return tuple(part for entry in content if (part := self._part(entry)) != "")

    def _part(self, entry: Any) -> str | int:
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        if kind == "text":
            return require_text(entry.get("text"))
        if kind in ("image", "image_url"):
            return self._image(entry)
        raise MalformedRecord(what=f"a message has a part of type {kind}, which is neither text nor image")

    def _image(self, entry: Mapping[str, Any]) -> int:
        cell = next((entry[key] for key in _IMAGE_KEYS if entry.get(key) is not None), None)
        if cell is not None:
            address = cell.get("url") if isinstance(cell, Mapping) else None
            self.images.append(image_cell(cell if address is None else address))
            return len(self.images) - 1
        index = entry.get("index")
        if isinstance(index, int) and not isinstance(index, bool):
            return index
        self._next += 1
        return self._next - 1


FORMAT = Chat()
