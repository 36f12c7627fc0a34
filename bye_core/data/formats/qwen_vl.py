"""Qwen-VL JSON or JSONL: `image` (string or list), `conversations[{from, value}]`, usually no id.

The first Qwen-VL names pictures inside the text, as `Picture 1: <img>path</img>`; that is read as well.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from bye_core.data.formats.draft import (
    Draft,
    Layout,
    Picture,
    marked_text,
    picture_order,
    pictures_of,
    plain_text,
    split,
    spoken,
)
from bye_core.records import Turn

COLUMNS = {"id": "id", "image": "image", "messages": "conversations"}
FILE = "data.json"
_INLINE = re.compile(r"<image>|<img>(?P<path>[^<>]*)</img>")


def matches(record: Mapping[str, Any], layout: Layout) -> bool:
    messages = layout.get(record, "messages")
    if not isinstance(messages, list) or "images" in record:
        return False
    speakers = {str(message.get("from")) for message in messages if isinstance(message, Mapping)}
    texts = [str(message.get("value")) for message in messages if isinstance(message, Mapping)]
    unnamed = layout.get(record, "id") is None or isinstance(layout.get(record, "image"), list)
    return unnamed or bool(speakers & {"user", "assistant"}) or any("</img>" in text for text in texts)


def read(record: Mapping[str, Any], layout: Layout) -> Draft:
    pictures: list[Picture] = pictures_of(layout.get(record, "image"))
    count = itertools.count()

    def number(match: re.Match[str]) -> int:
        path = match["path"]
        if path is None:
            return next(count)
        if path not in pictures:
            pictures.append(path)
        return pictures.index(path)

    turns = []
    for role, content in spoken(layout.get(record, "messages")):
        text = plain_text(content)
        parts = split(text, number, _INLINE) if role == "user" else (text,)
        turns.append(Turn(role, tuple(part for part in parts if part != "")))
    return Draft(layout.get(record, "id"), tuple(turns), tuple(pictures))


def write(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...]) -> dict[str, Any]:
    ordered = [pictures[k] for k in picture_order(turns)]
    messages = [{"from": turn.role, "value": marked_text(turn)} for turn in turns]
    return {"id": id, "image": ordered[0] if len(ordered) == 1 else ordered, "conversations": messages}
