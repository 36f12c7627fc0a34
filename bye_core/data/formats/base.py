"""The base class of all formats, and their common parts: parsed records, column names, and the writing of messages."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from bye_core.data.faults import Refusal
from bye_core.records import Turn

MARKER = "<image>"
MARKERS = re.compile(r"<image>|<video>|<audio>")
_OBJECTS = re.compile(r"\s*\[\s*\{")
_MARKERS_AND_TAGS = re.compile(MARKERS.pattern + "|<img>")
IMAGE_KEYS = (
    "image", "images", "image_path", "image_paths", "image_file", "image_name", "image_bytes", "image_base64",
    "image_base64_str", "image_url", "img", "img_path", "img_name", "imgname", "picture", "file_name", "file_names",
    "filename", "image_file_name",
    "jpg", "jpeg", "png", "webp",
)  # fmt: skip
SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


class EmbeddedImage:
    """Placeholder for the bytes of an image in a table row that was read without its images."""

    def __str__(self) -> str:
        return "binary data"

    def __reduce__(self) -> str:
        return "EMBEDDED_IMAGE"  # there is one object, in every process


class OtherValue:
    """Placeholder for a value of a table that no format reads, such as a date."""

    def __str__(self) -> str:
        return "another value"

    def __reduce__(self) -> str:
        return "OTHER_VALUE"


EMBEDDED_IMAGE = EmbeddedImage()
OTHER_VALUE = OtherValue()
ImageCell = str | bytes | EmbeddedImage


class CannotConvert(Refusal):
    problem = "{why}."
    remedy = "Leave the sample out, or export in another format; the original format of the data set always works."


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty: null, NaN, "", or a list or object without entries."""
    return value is None or value != value or (not value and isinstance(value, str | bytes | list | Mapping))


@dataclass(frozen=True)
class Layout:
    """How one data set names its columns and roles.

    columns   maps each column of the format to its key in the records
    tags      the `tags` of a LLaMA-Factory dataset_info.json
    question  the question for records that have none; None if the user gave none
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    question: str | None = None

    def get(self, record: Mapping[str, Any], *columns: str) -> Any:
        """Return the value of the first of `columns` that the record has; None if it has none of them."""
        for name in columns:
            if (value := record.get(self.columns.get(name, name))) is not None:
                return value
        return None

    def key(self, record: Mapping[str, Any], column: str, usual: Sequence[str]) -> str:
        """Return the key of a column in the record: its own key if that holds a value, else one of the `usual` keys.

        The usual keys are used only if the column is not renamed. The key may be missing in the record.
        """
        own = self.columns.get(column, column)
        if own not in usual or (own in record and not is_missing(record[own])):
            return own
        for key in usual:
            if key in record and not is_missing(record[key]):
                return key
        return own

    @cached_property
    def image_keys(self) -> tuple[str, ...]:
        """The keys that may name the images of a record, the most likely one first."""
        own = [self.columns[column] for column in ("images", "image") if column in self.columns]
        renamed = [key for key in own if key not in IMAGE_KEYS]
        return tuple(dict.fromkeys(renamed or [*own, *IMAGE_KEYS]))


def json_list(value: Any) -> Any:
    """Return the list of objects that a text cell of a table holds as JSON; else the value unchanged."""
    if not isinstance(value, str) or not _OBJECTS.match(value):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


@dataclass(frozen=True)
class ParsedRecord:
    """A record as its format reads it, before validation.

    images      paths, or images embedded in the record
    references  further correct answers, after the answer in `turns`
    notes       what the user should know about the reading of all such records
    """

    id: Any
    turns: tuple[Turn, ...]
    images: tuple[ImageCell, ...]
    references: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Format(ABC):
    """One data set format: how to recognise, read and write its records.

    name      identifier on the command line and in run folders
    title     name on pages
    columns   maps each column of the format to its usual key in a record
    usual     other keys that are read if a record lacks the usual key of a column that is not renamed
    required  columns that at least one record must have
    file      name of the annotation file that an export writes
    priority  formats are tried from the highest priority to the lowest; a format with a stricter `matches` has a higher
              priority
    """

    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[Mapping[str, str]]
    usual: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    file: ClassVar[str]
    priority: ClassVar[int]

    @abstractmethod
    def matches(self, record: Mapping[str, Any], layout: Layout) -> bool:
        """Return whether the record has this format, given that no format of a higher priority matched it."""

    def accepts(self, record: Mapping[str, Any], layout: Layout) -> bool:
        """Return whether the record has the keys of this format, so that `read` understands it."""
        return self.matches(record, layout)

    @abstractmethod
    def read(self, record: Mapping[str, Any], layout: Layout) -> ParsedRecord:
        """Parse one record. Raises:

        MalformedRecord if it has another structure; UnknownRole if a message has an unknown role; Video if it has a
        video or audio.
        """

    @abstractmethod
    def write(self, id: Any, turns: tuple[Turn, ...], images: tuple[str, ...]) -> dict[str, Any]:
        """Return the record of a sample with these image paths.

        Raises: CannotConvert if the format cannot represent the sample.
        """

    def dataset_info(self) -> dict[str, Any] | None:
        """Return the entry of LLaMA-Factory's dataset_info.json that an export needs, if it needs one."""
        return None


def in_prompt_order(turns: tuple[Turn, ...], images: tuple[str, ...]) -> list[str]:
    """Return the image of each marker in prompt order, so an image may occur twice.

    This is for formats whose markers have no number.
    """
    return [images[part] for turn in turns for part in turn.parts if isinstance(part, int)]


def text_with_markers(turn: Turn) -> str:
    """Join the parts of a turn to one text, with a marker for each image."""
    return "\n".join(MARKER if isinstance(part, int) else part for part in turn.parts)


def typed_messages(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """Return messages whose contents are lists of parts of the types image and text."""
    return [
        {
            "role": turn.role,
            "content": [
                {"type": "image"} if isinstance(part, int) else {"type": "text", "text": part} for part in turn.parts
            ],
        }
        for turn in turns
    ]


def question_answer_pairs(turns: tuple[Turn, ...], tags: bool = False) -> tuple[str | None, list[list[str]]]:
    """Return (system prompt, [question, answer] pairs) of a conversation, for formats that keep earlier pairs apart.

    Raises: CannotConvert if the messages do not alternate, or as `reject_literal_markers`.
    """
    reject_literal_markers(turns, tags)
    system = turns[0].text if turns and turns[0].role == "system" else None
    rest = turns[system is not None :]
    if not rest or len(rest) % 2 or [turn.role for turn in rest] != ["user", "assistant"] * (len(rest) // 2):
        raise CannotConvert(why="The messages are not pairs of a question and an answer")
    texts = [text_with_markers(turn) for turn in rest]
    return system, [list(pair) for pair in zip(texts[::2], texts[1::2], strict=True)]


def reject_literal_markers(turns: tuple[Turn, ...], tags: bool = False) -> None:
    """Raise CannotConvert if a user message holds a marker as plain text: programs would read it as an image or video.

    tags  whether programs read <img>path</img> as an image, too
    """
    pattern = _MARKERS_AND_TAGS if tags else MARKERS
    texts = (part for turn in turns if turn.role == "user" for part in turn.parts if isinstance(part, str))
    match = next((match for text in texts if (match := pattern.search(text))), None)
    if match:
        raise CannotConvert(why=f"A user message holds a literal {match.group()}, which would turn into an image")
