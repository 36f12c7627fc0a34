"""The base class of all formats, and their common parts: parsed records, column names, chat messages, image markers."""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bye_core.data.faults import MalformedRecord, Refusal, UnknownRole
from bye_core.records import Turn

MARKER = "<image>"
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}
MESSAGE_KEYS = (("from", "value"), ("role", "content"))
_MARKER = re.compile(re.escape(MARKER))
_BLANK = " \t\r\n"


class EmbeddedImage:
    """Placeholder for the bytes of an image in a table row that was read without its images."""


EMBEDDED_IMAGE = EmbeddedImage()
ImageCell = str | bytes | EmbeddedImage


class CannotConvert(Refusal):
    problem = "{why}."
    remedy = "Leave the sample out, or export in another format; the original format of the data set always works."


@dataclass(frozen=True)
class Layout:
    """How one data set names its columns and roles.

    columns  maps each column of the format to its key in the records
    tags     the `tags` of a LLaMA-Factory dataset_info.json
    question the question for records that have a caption and no question; None for the usual one
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None

    def get(self, record: Mapping[str, Any], *columns: str) -> Any:
        """Return the value of the first of `columns` that the record has; None if it has none of them."""
        values = (record.get(self.columns.get(name, name)) for name in columns)
        return next((value for value in values if value is not None), None)


@dataclass(frozen=True)
class ParsedRecord:
    """A record as its format reads it, before validation. `images` holds paths, or images embedded in the record."""

    id: Any
    turns: tuple[Turn, ...]
    images: tuple[ImageCell, ...]


class Format(ABC):
    """One data set format: how to recognise, read and write its records.

    name      identifier on the command line and in run folders
    title     name on pages
    columns   maps each column of the format to its usual key in a record
    required  columns that at least one record must have
    file      name of the annotation file that an export writes
    priority  formats are tried from the highest priority to the lowest; a format with a stricter `matches` has a higher
              priority
    """

    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]
    required: ClassVar[tuple[str, ...]] = ()
    file: ClassVar[str]
    priority: ClassVar[int]

    @abstractmethod
    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        """Return whether the record has this format, given that no format of a higher priority matched it."""

    @abstractmethod
    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. Raises:

        MalformedRecord if it has another structure; UnknownRole if a message has an unknown role.
        """

    @abstractmethod
    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        """Return the record of a sample with these image paths.

        Raises: CannotConvert if the format cannot represent the sample.
        """

    def dataset_info(self) -> dict[str, Any] | None:
        """Return the entry of LLaMA-Factory's dataset_info.json that an export needs, if it needs one."""
        return None


def image_cells(cell: Any) -> list[ImageCell]:
    """Return the images that a cell names, as a list; the cell may hold none, one, or a list.

    Raises: MalformedRecord if an image is neither a path nor image data.
    """
    if cell is None or cell == "":
        return []
    return [image_cell(entry) for entry in cell] if isinstance(cell, list) else [image_cell(cell)]


def image_cell(cell: Any) -> ImageCell:
    """Return the path or the bytes of one image. The bytes are used if a cell of `datasets` {bytes, path} has both.

    Raises: MalformedRecord if the cell is neither a path nor image data.
    """
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") if isinstance(cell.get("bytes"), bytes | EmbeddedImage) else cell.get("path")
    if isinstance(cell, bytes | EmbeddedImage) or (isinstance(cell, str) and cell.strip()):
        return cell
    raise MalformedRecord(what=f"an image is of type {type(cell).__name__}, not a path or image data")


def read_messages(
    messages: Any, keys: tuple[tuple[str, str], ...] = MESSAGE_KEYS, roles: Mapping[str, str] = ROLES
) -> Iterator[tuple[str, Any]]:
    """Yield (role, content) of each message.

    keys   the accepted pairs of key names: (key of the role, key of the content)
    roles  maps the record's roles to user, assistant and system
    Raises: MalformedRecord if `messages` is not a list of objects with these keys; UnknownRole if a role is not in
    `roles`.
    """
    if not isinstance(messages, list):
        raise MalformedRecord(what=f"its messages are of type {type(messages).__name__}, not a list")
    for message in messages:
        if not isinstance(message, Mapping):
            raise MalformedRecord(what=f"a message is of type {type(message).__name__}, not an object")
        pair = next((pair for pair in keys if message.get(pair[0]) is not None), None)
        if pair is None:
            raise MalformedRecord(what=f"a message has no key {' or '.join(role for role, _ in keys)}")
        role = message[pair[0]]
        if not isinstance(role, str) or role not in roles:
            raise UnknownRole(role=role, valid=", ".join(roles))
        yield roles[role], message.get(pair[1])


def require_text(content: Any) -> str:
    """Return a message's content. Raises: MalformedRecord if it is not text."""
    if not isinstance(content, str):
        raise MalformedRecord(what=f"the content of a message is of type {type(content).__name__}, not text")
    return content


def split_at_markers(
    text: str, image_index: Callable[[re.Match[str]], int], pattern: re.Pattern[str] = _MARKER
) -> tuple[str | int, ...]:
    """Split text at its image markers into the parts of a Turn: texts and image numbers.

    White space beside a marker is dropped.
    """
    parts: list[str | int] = []
    end = 0
    for match in pattern.finditer(text):
        before = text[end : match.start()].rstrip(_BLANK)
        parts += [before.lstrip(_BLANK) if end else before, image_index(match)]
        end = match.end()
    parts.append(text[end:].lstrip(_BLANK) if end else text)
    return tuple(part for part in parts if part != "")


def turns_with_markers(messages: Iterator[tuple[str, Any]]) -> tuple[Turn, ...]:
    """Convert messages to turns. Only user messages can hold image markers; elsewhere a marker is plain text."""
    count = itertools.count()

    def parts(role: str, text: str) -> tuple[str | int, ...]:
        if role == "user":
            return split_at_markers(text, lambda _: next(count))
        return (text,) if text else ()

    return tuple(Turn(role, parts(role, require_text(content))) for role, content in messages)


def in_prompt_order(turns: tuple[Turn, ...], images: tuple[str, ...]) -> list[str]:
    """Return the image of each marker in prompt order, so an image may occur twice.

    This is for formats whose markers have no number.
    """
    return [images[part] for turn in turns for part in turn.parts if isinstance(part, int)]


def text_with_markers(turn: Turn) -> str:
    """Join the parts of a turn to one text, with a marker for each image."""
    return "\n".join(MARKER if isinstance(part, int) else part for part in turn.parts)


def reject_literal_markers(turns: tuple[Turn, ...]) -> None:
    """Raise CannotConvert if a user message holds the marker as plain text: programs would read it as an image."""
    for turn in turns:
        if turn.role == "user" and any(isinstance(part, str) and MARKER in part for part in turn.parts):
            raise CannotConvert(why=f"A user message holds a literal {MARKER}, which would turn into an image")
