"""Reads chat messages of all spellings: texts with image markers, and lists of typed parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bye_core.data.faults import MalformedRecord, UnknownRole, Video, as_json, value_type
from bye_core.data.formats.base import MARKERS, ImageCell, Layout, ParsedRecord, is_missing
from bye_core.data.formats.cells import cell_text, named_images, part_image
from bye_core.records import Turn

ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_OTHER_ROLES = {"chatgpt": "assistant", "bot": "assistant", "model": "assistant", "developer": "system"}
SYSTEM_KEYS = ("system", "system_prompt")
MESSAGE_KEYS = (("from", "value"), ("role", "content"))
_TEXT_TYPES = ("text", "input_text", "output_text")
_IMAGE_TYPES = ("image", "image_url", "input_image")
_MEDIA = {"<video>": "a video", "<audio>": "audio"}
_MARKERS_OR_PATHS = re.compile(MARKERS.pattern + r"|<img>\s*(?P<path>[^<>]*?)\s*</img>")
# <image1>, <image_1>, <image 1>, <|image_1|>: the number of the image, from 1 (or from 0 if one of them has 0)
NUMBERED_MARKER = re.compile(r"<\|?image[ _-]?(\d{1,3})\|?>", re.IGNORECASE)
_BLANK = " \t\r\n"
_KEYS_SHOWN = 8


def read_conversation(
    record: Mapping[str, Any],
    layout: Layout,
    messages: Any,
    *,
    keys: tuple[tuple[str, str], ...] = MESSAGE_KEYS,
    roles: Mapping[str, str] = ROLES,
    inline: bool = False,
    images_first: bool = False,
) -> ParsedRecord:
    """Parse a record of chat messages: its messages, images, system prompt, and the chosen answer of a preference pair.

    keys          the accepted pairs of key names: (key of the role, key of the content)
    roles         maps the record's roles to user, assistant and system
    inline        whether <img>path</img> names an image although the record also names images by key
    images_first  whether images without a marker come before the first user message
    Raises: MalformedRecord, UnknownRole, Video, and as `named_images`.
    """
    images = named_images(record, layout)
    reader = ContentReader(images, inline or not images)
    turns: list[Turn] = []
    contents = [*read_messages(messages, keys, roles), *_chosen_messages(record, messages, keys, roles)]
    for where, role, content in contents:
        answered = any(turn.role == "assistant" for turn in turns)
        empty = content in ("", []) or (role == "assistant" and not answered)
        if is_missing(content) and (empty or role == "system"):
            turns += [Turn(role, ())] if role != "system" else []  # the first answer may be empty: EmptyAnswer
        else:
            turns.append(Turn(role, reader.parts(role, content, where)))
    turns = with_system(turns, record, layout)
    plain = all(not isinstance(content, list | Mapping) for _, _, content in contents)
    turns = place_images(turns, len(reader.images), images_first and plain)
    return ParsedRecord(layout.get(record, "id"), tuple(turns), tuple(reader.images))


def read_messages(
    messages: Any, keys: tuple[tuple[str, str], ...] = MESSAGE_KEYS, roles: Mapping[str, str] = ROLES
) -> Iterator[tuple[str, str, Any]]:
    """Yield (name of the message in errors, role, content) of each message. For `keys` and `roles` see above.

    Raises: MalformedRecord if `messages` is not a list of objects with these keys; UnknownRole if a role is not in
    `roles`.
    """
    if not isinstance(messages, list):
        raise MalformedRecord(what=f"its messages are {value_type(messages)}, not a list")
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise MalformedRecord(what=f"message {number} is {value_type(message)}, not an object")
        pair = next((pair for pair in keys if message.get(pair[0]) is not None), None)
        if pair is None:
            raise MalformedRecord(what=f"message {number} has no key {' or '.join(role for role, _ in keys)}")
        name = message[pair[0]]
        role = _role(name, roles)
        where = f"message {number} ({name})"
        key = next((key for key in (pair[1], *(content for _, content in keys)) if key in message), None)
        if key is None:
            seen = ", ".join(str(key) for key in list(message)[:_KEYS_SHOWN])
            raise MalformedRecord(what=f"{where} has no key {pair[1]} with its text; its keys are {seen}")
        yield f"the {key} of {where}", role, message[key]


class ContentReader:
    """Reads the contents of one record's messages and numbers its images.

    inline  whether <img>path</img> in a text names an image
    """

    def __init__(self, images: list[ImageCell], inline: bool = False) -> None:
        self.images = images
        self._pattern = _MARKERS_OR_PATHS if inline else MARKERS
        self._next = 0

    def parts(self, role: str, content: Any, where: str) -> tuple[str | int, ...]:
        """Return the parts of a Turn: texts and image numbers. Only user messages can hold image markers.

        Raises: MalformedRecord if the content has another structure; Video if it has a video or audio.
        """
        if isinstance(content, Mapping):
            content = [content]
        if not isinstance(content, list):
            if is_missing(content) and content != "":
                raise MalformedRecord(what=f"{where} is null, not text")
            text = cell_text(content, where)
            parts = self._split(text) if role == "user" else (text,)
        else:
            if len(content) != 1 and not any(isinstance(entry, Mapping) for entry in content):
                raise MalformedRecord(what=f"{where} is a list, neither text nor parts with a type")
            parts = tuple(self._part(entry, where) for entry in content)
        return tuple(part for part in parts if part != "")

    def _split(self, text: str) -> tuple[str | int, ...]:
        """Split text at its image markers. White space beside a marker is dropped."""
        parts: list[str | int] = []
        end = 0
        for match in self._pattern.finditer(text):
            before = text[end : match.start()].rstrip(_BLANK)
            parts += [before.lstrip(_BLANK) if end else before, self._number(match)]
            end = match.end()
        parts.append(text[end:].lstrip(_BLANK) if end else text)
        return tuple(parts)

    def _number(self, match: re.Match[str]) -> int:
        if match.group() in _MEDIA:
            raise Video(media=f"the marker {match.group()} of {_MEDIA[match.group()]}")
        path = match.groupdict().get("path")
        return self._following() if path is None else self._add(path)

    def _part(self, entry: Any, where: str) -> str | int:
        if isinstance(entry, str):
            return entry
        if not isinstance(entry, Mapping):
            raise MalformedRecord(what=f"{where} has a part that is {value_type(entry)}, not an object")
        kind = entry.get("type")
        if kind is None:  # Qwen's agents write {"image": path} and {"text": text}
            named = (key for key in ("text", "image", "image_url", "video", "audio") if not is_missing(entry.get(key)))
            kind = next(named, None)
        if kind in _TEXT_TYPES:
            if is_missing(entry.get("text")) and entry.get("text") != "":
                raise MalformedRecord(what=f"{where} has a part of type {kind} without a text")
            return cell_text(entry["text"], f"the text of a part of {where}")
        if kind in _IMAGE_TYPES:
            return self._image(entry)
        if isinstance(kind, str) and ("video" in kind or "audio" in kind):
            raise Video(media=f"a part of type {kind}")
        shown = kind if isinstance(kind, str) else value_type(kind)
        raise MalformedRecord(what=f"{where} has a part of type {shown}, which is neither text nor image")

    def _image(self, entry: Mapping[str, Any]) -> int:
        if (image := part_image(entry)) is not None:
            return self._add(image)
        index = entry.get("index")
        return index if isinstance(index, int) and not isinstance(index, bool) else self._following()

    def _following(self) -> int:
        self._next += 1
        return self._next - 1

    def _add(self, image: ImageCell) -> int:
        """Return the number of an image; a path that was named before has its number."""
        if not isinstance(image, str) or image not in self.images:
            self.images.append(image)
            return len(self.images) - 1
        return self.images.index(image)


def with_system(turns: list[Turn], record: Mapping[str, Any], layout: Layout) -> list[Turn]:
    """Put the record's system prompt before the messages, unless they begin with one.

    Raises: MalformedRecord if it is not text.
    """
    key = layout.key(record, "system", SYSTEM_KEYS)
    text = cell_text(record.get(key), f"its {key}")
    if not text or (turns and turns[0].role == "system"):
        return turns
    return [Turn("system", (text,)), *turns]


def place_images(turns: list[Turn], images: int, first: bool) -> list[Turn]:
    """Return the turns with the images of a record whose texts have no marker <image>.

    Reads numbered markers such as <image1>. Else, with `first`, all images come before the first user message, as in
    TRL and ms-swift.
    """
    if not images or any(isinstance(part, int) for turn in turns for part in turn.parts):
        return turns
    numbers = {int(n) for turn in turns if turn.role == "user" for n in NUMBERED_MARKER.findall(turn.text)}
    if numbers:
        start = 0 if 0 in numbers else 1
        return [Turn(turn.role, _numbered(turn, start)) if turn.role == "user" else turn for turn in turns]
    user = next((k for k, turn in enumerate(turns) if turn.role == "user"), None)
    if first and user is not None:
        turns[user] = Turn("user", (*range(images), *turns[user].parts))
    return turns


def _numbered(turn: Turn, start: int) -> tuple[str | int, ...]:
    pieces = NUMBERED_MARKER.split(turn.text)  # text, number, text, number ...
    parts = [int(piece) - start if k % 2 else piece.strip(_BLANK) for k, piece in enumerate(pieces)]
    return tuple(part for part in parts if part != "")


def _chosen_messages(
    record: Mapping[str, Any], messages: Any, keys: tuple[tuple[str, str], ...], roles: Mapping[str, str]
) -> Iterator[tuple[str, str, Any]]:
    """Yield the chosen answer of a preference pair, if the messages have no answer."""
    chosen = record.get("chosen")
    if is_missing(chosen) or is_missing(record.get("rejected")):
        return
    if any(role == "assistant" for _, role, _ in read_messages(messages, keys, roles)):
        return
    if isinstance(chosen, list | Mapping):
        yield from read_messages(chosen if isinstance(chosen, list) else [chosen], keys, roles)
    else:
        yield "its chosen answer", "assistant", chosen


def _role(name: Any, roles: Mapping[str, str]) -> str:
    if isinstance(name, str):
        known = {**_OTHER_ROLES, **roles}
        role = known.get(name, known.get(name.strip().lower()))
        if role is not None:
            return role
    raise UnknownRole(role=as_json(name), valid=", ".join(roles))
