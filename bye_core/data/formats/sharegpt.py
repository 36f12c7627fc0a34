"""Reads and writes ShareGPT as LLaMA-Factory does: `conversations` or `messages`, `images[]`, `system`.

The `columns` and `tags` of a dataset_info.json beside the file may rename keys and roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats.base import (
    MARKER,
    SPEAKERS,
    Format,
    Layout,
    ParsedRecord,
    in_prompt_order,
    json_list,
    reject_literal_markers,
    text_with_markers,
)
from bye_core.data.formats.messages import MESSAGE_KEYS, ROLES, read_conversation
from bye_core.records import Turn


class ShareGpt(Format):
    name = "sharegpt"
    title = "ShareGPT (LLaMA-Factory)"
    columns: ClassVar = {
        "id": "id",
        "images": "images",
        "conversations": "conversations",
        "messages": "messages",
        "system": "system",
    }
    file = "data.json"
    priority = 9

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        if isinstance(json_list(layout.get(record, "conversations")), list):
            return layout.columns.get("images", "images") in record or bool(layout.tags)
        messages = json_list(layout.get(record, "messages"))
        if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
            return False
        contents = [message.get("content") for message in messages]
        # Messages without a marker belong to "chat": only TRL can train on them, as it puts the images first.
        plain = not any(isinstance(content, list | Mapping) for content in contents)
        return plain and any(isinstance(text, str) and MARKER in text for text in contents)

    def accepts(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return isinstance(json_list(layout.get(record, "conversations", "messages")), list)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        messages = json_list(layout.get(record, "conversations", "messages"))
        return read_conversation(record, layout, messages, keys=_keys(layout.tags), roles=_roles(layout.tags))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        reject_literal_markers(turns)
        has_system = bool(turns) and turns[0].role == "system"
        messages = [{"from": SPEAKERS[turn.role], "value": text_with_markers(turn)} for turn in turns[has_system:]]
        record = {"id": id, "conversations": messages, "images": in_prompt_order(turns, images)}
        return record | ({"system": turns[0].text} if has_system else {})

    def dataset_info(self) -> dict[str, Any]:
        columns = {"messages": "conversations", "images": "images", "system": "system"}
        return {"file_name": self.file, "formatting": "sharegpt", "columns": columns}


def _keys(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    if not {"role_tag", "content_tag"} & set(tags):
        return MESSAGE_KEYS
    return ((tags.get("role_tag", "from"), tags.get("content_tag", "value")),)


def _roles(tags: Mapping[str, str]) -> dict[str, str]:
    renamed = {tags[f"{role}_tag"]: role for role in ("user", "assistant", "system") if f"{role}_tag" in tags}
    return ROLES | renamed


FORMAT = ShareGpt()
