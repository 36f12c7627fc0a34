"""Reads the content of one message: a text with image markers, or a list of typed parts. Places unmarked images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from bye_core.data.faults import MalformedRecord, Video, value_type
from bye_core.data.formats.base import MARKERS, ImageCell, is_missing
from bye_core.data.formats.cells import cell_text, part_image
from bye_core.records import Turn

_TEXT_TYPES = ("text", "input_text", "output_text")
_IMAGE_TYPES = ("image", "image_url", "input_image")
_MEDIA = {"<video>": "a video", "<audio>": "audio"}
_MARKERS_OR_PATHS = re.compile(MARKERS.pattern + r"|<img>(?P<path>[^<>]*)</img>")
# <image1>, <image_1>, <image 1>, <|image_1|>: the number of the image, from 1 (or from 0 if one of them has 0)
NUMBERED_MARKER = re.compile(r"<\|?image[ _-]?(\d{1,3})\|?>", re.IGNORECASE)
_BLANK = " \t\r\n"


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
        if isinstance(content, str):
            if role == "user" and "<" in content:
                return tuple(part for part in self._split(content) if part != "")
            return (content,) if content else ()
        if isinstance(content, Mapping):
            content = [content]
        if not isinstance(content, list):
            if is_missing(content):
                raise MalformedRecord(what=f"{where} is null, not text")
            return (cell_text(content, where),)  # a number
        if len(content) != 1 and not any(isinstance(entry, Mapping) for entry in content):
            raise MalformedRecord(what=f"{where} is a list, neither text nor parts with a type")
        parts = [self._part(entry, where) for entry in content]
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
        return self._following() if path is None else self._add(path.strip())

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

    @cached_property
    def _numbers(self) -> dict[ImageCell, int]:
        numbers: dict[ImageCell, int] = {}
        for number, image in enumerate(self.images):
            numbers.setdefault(image, number)
        return numbers

    def _add(self, image: ImageCell) -> int:
        """Return the number of an image; a path that was named before has its number."""
        number = len(self.images)
        if isinstance(image, str):
            number = self._numbers.setdefault(image, number)
        if number == len(self.images):
            self.images.append(image)
        return number


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
