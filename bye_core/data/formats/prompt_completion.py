"""Reads and writes TRL's prompt and completion, as texts or as messages.

Of a preference pair, only the chosen answer is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bye_core.data.faults import RejectedAnswer
from bye_core.data.formats.base import (
    CannotConvert,
    Format,
    Layout,
    ParsedRecord,
    in_prompt_order,
    is_missing,
    json_list,
    typed_messages,
)
from bye_core.data.formats.cells import answer_texts
from bye_core.data.formats.messages import read_conversation
from bye_core.records import Turn

_PROMPT_KEYS = ("prompt", "question")
_ANSWER_KEYS = ("completion", "chosen")


class PromptCompletion(Format):
    name = "prompt-completion"
    title = "prompt and completion (TRL)"
    columns: ClassVar = {
        "id": "id",
        "images": "images",
        "image": "image",
        "prompt": "prompt",
        "completion": "completion",
        "system": "system",
    }
    file = "data.jsonl"
    priority = 5

    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        answer = layout.key(record, "completion", _ANSWER_KEYS)
        if answer == "chosen" and isinstance(record.get("chosen"), list):
            return True  # an implicit prompt: the messages under `chosen` begin with it
        return answer in record and layout.key(record, "prompt", _PROMPT_KEYS) in record

    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. Images without a marker come before the first user message, as in TRL.

        Raises: RejectedAnswer if its label is false: it then has an answer that the model should avoid.
        """
        if record.get("label") is False:
            raise RejectedAnswer()
        prompt = json_list(record.get(layout.key(record, "prompt", _PROMPT_KEYS)))
        answer = json_list(record.get(layout.key(record, "completion", _ANSWER_KEYS)))
        texts = isinstance(answer, list) and not any(isinstance(entry, Mapping) for entry in answer)
        answers = answer_texts(answer) if texts else [answer]
        messages = [*_messages(prompt, "user"), *_messages(next(iter(answers), ""), "assistant")]
        parsed = read_conversation(record, layout, messages, images_first=True)
        return replace(parsed, references=tuple(answers[1:]))

    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        if not turns or turns[-1].role != "assistant":
            raise CannotConvert(why="The conversation does not end with an answer")
        messages = typed_messages(turns)
        named = {"images": in_prompt_order(turns, images)}
        return {"id": id, **named, "prompt": messages[:-1], "completion": messages[-1:]}


def _messages(value: Any, role: str) -> list[Any]:
    """Return the messages of a prompt or completion; a text is one message."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and "role" in value:
        return [value]
    return [] if is_missing(value) and role == "user" else [{"role": role, "content": value}]


FORMAT = PromptCompletion()
