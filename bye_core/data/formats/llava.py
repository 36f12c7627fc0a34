"""LLaVA JSON: `id`, `image`, `conversations[{from: human|gpt, value}]`, `<image>` in the first value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.data.formats.draft import Draft, Layout, marked_text, marked_turns, picture_order, pictures_of, spoken
from bye_core.records import Turn

COLUMNS = {"id": "id", "image": "image", "messages": "conversations"}
FILE = "data.json"
_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


def matches(record: Mapping[str, Any], layout: Layout) -> bool:
    """What qwen-vl and sharegpt, which are asked before, do not claim."""
    return isinstance(layout.get(record, "messages"), list)


def read(record: Mapping[str, Any], layout: Layout) -> Draft:
    pictures = pictures_of(layout.get(record, "image"))
    return Draft(layout.get(record, "id"), marked_turns(spoken(layout.get(record, "messages"))), tuple(pictures))


def write(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...]) -> dict[str, Any]:
    ordered = [pictures[k] for k in picture_order(turns)]
    messages = [{"from": _SPEAKERS[turn.role], "value": marked_text(turn)} for turn in turns]
    return {"id": id, "image": ordered[0] if len(ordered) == 1 else ordered, "conversations": messages}
