"""Chat messages of TRL and Hugging Face: `images`, `messages[{role, content: [{type: image}, {type: text, text}]}]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.data.faults import MalformedRecord
from bye_core.data.formats.draft import (
    MARKER,
    Draft,
    Layout,
    Picture,
    picture_of,
    picture_order,
    pictures_of,
    plain_text,
    spoken,
)
from bye_core.records import Turn

COLUMNS = {"id": "id", "images": "images", "image": "image", "messages": "messages"}
FILE = "data.jsonl"
_KEYS = (("role", "content"),)


def matches(record: Mapping[str, Any], layout: Layout) -> bool:
    messages = layout.get(record, "messages")
    if not isinstance(messages, list):
        return False
    contents = [message.get("content") for message in messages if isinstance(message, Mapping)]
    plain = all(isinstance(text, str) and MARKER not in text for text in contents)
    return any(isinstance(content, list) for content in contents) or plain


def read(record: Mapping[str, Any], layout: Layout) -> Draft:
    reader = _Reader(pictures_of(layout.get(record, "images", "image")))
    messages = list(spoken(layout.get(record, "messages"), _KEYS))
    turns = [Turn(role, reader.parts(content)) for role, content in messages]
    if all(isinstance(content, str) for _, content in messages):
        # TRL's rule for plain texts: all pictures stand before the first user message.
        first = next((k for k, turn in enumerate(turns) if turn.role == "user"), None)
        if first is not None:
            turns[first] = Turn("user", (*range(len(reader.pictures)), *turns[first].parts))
    return Draft(layout.get(record, "id"), tuple(turns), tuple(reader.pictures))


def write(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...]) -> dict[str, Any]:
    messages = [
        {
            "role": turn.role,
            "content": [{"type": "image"} if isinstance(p, int) else {"type": "text", "text": p} for p in turn.parts],
        }
        for turn in turns
    ]
    return {"id": id, "images": [pictures[k] for k in picture_order(turns)], "messages": messages}


class _Reader:
    """Numbers the pictures of one record while its messages are read."""

    def __init__(self, pictures: list[Picture]) -> None:
        self.pictures = pictures
        self._next = 0

    def parts(self, content: Any) -> tuple[str | int, ...]:
        if not isinstance(content, list):
            content = [{"type": "text", "text": plain_text(content)}]
        return tuple(part for entry in content if (part := self._part(entry)) != "")

    def _part(self, entry: Any) -> str | int:
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        if kind == "text":
            return plain_text(entry.get("text"))
        if kind in ("image", "image_url"):
            return self._image(entry)
        raise MalformedRecord(what=f"a message has a part of type {kind}, which is neither text nor image")

    def _image(self, entry: Mapping[str, Any]) -> int:
        keys = ("image", "path", "url", "image_url")
        cell = next((entry[key] for key in keys if entry.get(key) is not None), None)
        if cell is not None:
            address = cell.get("url") if isinstance(cell, Mapping) else None
            self.pictures.append(picture_of(cell if address is None else address))
            return len(self.pictures) - 1
        index = entry.get("index")
        if isinstance(index, int) and not isinstance(index, bool):
            return index
        self._next += 1
        return self._next - 1
