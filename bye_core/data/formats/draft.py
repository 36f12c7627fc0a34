"""What the formats share: the draft of a sample, and how messages, markers and picture cells are read and written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bye_core.data.faults import MalformedRecord, Refusal, UnknownRole
from bye_core.records import Turn

MARKER = "<image>"
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
MESSAGE_KEYS = (("from", "value"), ("role", "content"))
_MARKER = re.compile(re.escape(MARKER))
_BLANK = " \t\r\n"


class Embedded:
    """Stands for the bytes of a picture in a table row that was read without its pictures."""


EMBEDDED_BYTES = Embedded()
Picture = str | bytes | Embedded


class CannotConvert(Refusal):
    problem = "{why}."
    remedy = "Leave the sample out, or export in another format (the same as the source always works)."


@dataclass(frozen=True)
class Layout:
    """How a data set spells its format: logical column -> key in the record; `tags` are LLaMA-Factory's."""

    names: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def get(self, record: Mapping[str, Any], *columns: str) -> Any:
        """The value of the first of `columns` that the record has."""
        return next((value for name in columns if (value := record.get(self.names.get(name, name))) is not None), None)


@dataclass(frozen=True)
class Draft:
    """A record as read, before anything is known about its sense. Pictures are paths or lie in the record itself."""

    id: Any
    turns: tuple[Turn, ...]
    pictures: tuple[Picture, ...]


def pictures_of(cell: Any) -> list[Picture]:
    """A cell that names pictures in any of the usual ways: nothing, one, or a list of them."""
    if cell is None or cell == "":
        return []
    return [picture_of(entry) for entry in cell] if isinstance(cell, list) else [picture_of(cell)]


def picture_of(cell: Any) -> Picture:
    """A path, bytes, or the Image struct {bytes, path} of a saved table, whose path counts only without bytes."""
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") if isinstance(cell.get("bytes"), bytes | Embedded) else cell.get("path")
    if isinstance(cell, bytes | Embedded) or (isinstance(cell, str) and cell.strip()):
        return cell
    raise MalformedRecord(what=f"a picture is a {type(cell).__name__}, not a path or an image")


def spoken(
    messages: Any, keys: tuple[tuple[str, str], ...] = MESSAGE_KEYS, roles: Mapping[str, str] = ROLES
) -> Iterator[tuple[str, Any]]:
    """(role, content) of each message; `keys` are the spellings of the two that may occur."""
    if not isinstance(messages, list):
        raise MalformedRecord(what=f"its messages are a {type(messages).__name__}, not a list")
    for message in messages:
        if not isinstance(message, Mapping):
            raise MalformedRecord(what=f"a message is a {type(message).__name__}, not an object")
        pair = next((pair for pair in keys if message.get(pair[0]) is not None), None)
        if pair is None:
            raise MalformedRecord(what=f"a message has no {' or '.join(role for role, _ in keys)}")
        role = message[pair[0]]
        if not isinstance(role, str) or role not in roles:
            raise UnknownRole(role=role, valid=", ".join(roles))
        yield roles[role], message.get(pair[1])


def plain_text(content: Any) -> str:
    if not isinstance(content, str):
        raise MalformedRecord(what=f"a message's text is a {type(content).__name__}")
    return content


def split(text: str, number: Callable[[re.Match[str]], int], pattern: re.Pattern[str] = _MARKER) -> tuple:
    """Text with markers -> parts; the blanks around a marker only set it apart and go with it."""
    parts: list[str | int] = []
    end = 0
    for match in pattern.finditer(text):
        before = text[end : match.start()].rstrip(_BLANK)
        parts += [before.lstrip(_BLANK) if end else before, number(match)]
        end = match.end()
    parts.append(text[end:].lstrip(_BLANK) if end else text)
    return tuple(part for part in parts if part != "")


def marked_turns(messages: Iterator[tuple[str, Any]]) -> tuple[Turn, ...]:
    """Messages whose user texts hold `<image>`; elsewhere it is text, as no model is trained on a picture there."""
    count = itertools.count()
    return tuple(
        Turn(role, split(plain_text(content), lambda _: next(count)) if role == "user" else _whole(content))
        for role, content in messages
    )


def _whole(content: Any) -> tuple[str, ...]:
    text = plain_text(content)
    return (text,) if text else ()


def picture_order(turns: tuple[Turn, ...]) -> list[int]:
    """The sample's pictures in prompt order, as formats with bare markers have to list them."""
    return [part for turn in turns for part in turn.parts if isinstance(part, int)]


def marked_text(turn: Turn) -> str:
    """The inverse of `marked_turns` for one message."""
    if turn.role == "user" and any(isinstance(part, str) and MARKER in part for part in turn.parts):
        raise CannotConvert(why=f"A user message holds a literal {MARKER}, which would turn into a picture")
    return "\n".join(MARKER if isinstance(part, int) else part for part in turn.parts)


def table_draft(record: Mapping[str, Any], layout: Layout) -> Draft:
    """A row of question, answer and picture. The picture leads the question unless a marker says otherwise."""
    pictures = pictures_of(layout.get(record, "image"))
    count = itertools.count()
    parts = split(_cell(record, layout, "question"), lambda _: next(count))
    if not any(isinstance(part, int) for part in parts):
        parts = (*range(len(pictures)), *parts)
    answer = _cell(record, layout, "answer")
    turns = [Turn("user", parts)]
    if layout.get(record, "answer") is not None:
        turns.append(Turn("assistant", (answer,) if answer else ()))
    return Draft(layout.get(record, "id"), tuple(turns), tuple(pictures))


def _cell(record: Mapping[str, Any], layout: Layout, column: str) -> str:
    value = layout.get(record, column)
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # tables hold answers like 3 as numbers
    raise MalformedRecord(what=f"its {column} is a {type(value).__name__}")


def table_row(id: Any, turns: tuple[Turn, ...], pictures: tuple[str, ...], image_key: str) -> dict[str, Any]:
    """The inverse of `table_draft`, for the samples that fit in a row."""
    if [turn.role for turn in turns] != ["user", "assistant"] or len(pictures) != 1:
        raise CannotConvert(why="The sample is not one question with one picture and one answer")
    text = marked_text(turns[0])
    if text.startswith(f"{MARKER}\n"):
        text = text[len(MARKER) + 1 :]
    return {"id": id, image_key: pictures[0], "question": text, "answer": turns[1].text}
