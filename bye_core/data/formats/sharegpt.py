"""ShareGPT as LLaMA-Factory reads it: `conversations` or `messages`, `images[]`, `system`.

Keys and roles may be renamed by the `columns` and `tags` of a dataset_info.json beside the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bye_core.data.formats.draft import (
    MARKER,
    MESSAGE_KEYS,
    ROLES,
    Draft,
    Layout,
    marked_text,
    marked_turns,
    picture_order,
    pictures_of,
    plain_text,
    spoken,
)
from bye_core.records import Turn

COLUMNS = {"id": "id", "images": "images", "conversations": "conversations", "messages": "messages", "system": "system"}
FILE = "data.json"
_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


def matches(record: Mapping[str, Any], layout: Layout) -> bool:
    if isinstance(layout.get(record, "conversations"), list):
        return layout.names.get("images", "images") in record or bool(layout.tags)
    messages = layout.get(record, "messages")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return False
    contents = [message.get("content") for message in messages]
    # Without a marker only TRL can train on plain texts, as it puts the pictures first by itself: that is "chat".
    return all(isinstance(text, str) for text in contents) and any(MARKER in text for text in contents)


def read(record: Mapping[str, Any], layout: Layout) -> Draft:
    turns = marked_turns(
        spoken(layout.get(record, "conversations", "messages"), _keys(layout.tags), _roles(layout.tags))
    )
    system = layout.get(record, "system")
    if system is not None and plain_text(system):
        turns = (Turn("system", (system,)), *turns)
    return Draft(layout.get(record, "id"), turns, tuple(pictures_of(layout.get(record, "images"))))


def write(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...]) -> dict[str, Any]:
    leading = bool(turns) and turns[0].role == "system"
    messages = [{"from": _SPEAKERS[turn.role], "value": marked_text(turn)} for turn in turns[leading:]]
    record = {"id": id, "conversations": messages, "images": [pictures[k] for k in picture_order(turns)]}
    return record | ({"system": turns[0].text} if leading else {})


def _keys(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    if not {"role_tag", "content_tag"} & set(tags):
        return MESSAGE_KEYS
    return ((tags.get("role_tag", "from"), tags.get("content_tag", "value")),)


def _roles(tags: Mapping[str, str]) -> dict[str, str]:
    own = {tags[f"{role}_tag"]: role for role in ("user", "assistant", "system") if f"{role}_tag" in tags}
    return ROLES | own
