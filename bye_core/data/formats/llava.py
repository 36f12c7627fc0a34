"""Reads and writes LLaVA JSON.

A record has `id`, `image` and `conversations[{from: human|gpt, value}]`, with `<image>` in the first value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bye_core.data.formats import base
from bye_core.data.formats.base import SPEAKERS, Format, Layout, ParsedRecord, json_list
from bye_core.data.formats.messages import read_conversation
from bye_core.records import Turn


class Llava(Format):
    name = "llava"
    title = "LLaVA JSON"
    columns: ClassVar = {"id": "id", "image": "image", "messages": "conversations"}
    file = "data.json"
    priority = 6

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        return isinstance(json_list(layout.get(record, "messages")), list)

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        return read_conversation(record, layout, json_list(layout.get(record, "messages")))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        base.reject_literal_markers(turns)
        return llava_record(id, turns, images)


def llava_record(
    id: Any, turns: tuple[Turn, ...], images: tuple[str, ...], speakers: Mapping[str, str] = SPEAKERS
) -> dict[str, Any]:
    """Return a LLaVA record. `speakers` maps roles to the values of `from`. Markers in plain text are not changed."""
    ordered = base.in_prompt_order(turns, images)
    messages = [{"from": speakers[turn.role], "value": base.text_with_markers(turn)} for turn in turns]
    named = {"image": ordered[0] if len(ordered) == 1 else ordered} if ordered else {}
    return {"id": id, **named, "conversations": messages}


FORMAT = Llava()
