"""Reads the single values of records: texts, answers, and images as paths, bytes or base64 text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from bye_core.data.faults import MalformedRecord, Video, value_type
from bye_core.data.formats.base import EmbeddedImage, ImageCell, Layout, is_missing
from bye_core.data.images import MAX_BYTES, BrokenImage, HugeImage

_MEDIA_KEYS = {"video": "a video", "videos": "videos", "audio": "audio", "audios": "audio"}
_ANSWER_PARTS = ("answer", "text", "value", "caption", "raw")  # keys of an answer that is an object
_EMBEDDED = "(embedded in the record)"
_DEPTH = 4  # levels of objects around one image or answer
_DATA_URI = re.compile(r"\s*data:(?P<type>[^,]{0,200}),", re.IGNORECASE)
# The first characters of JPEG, PNG, WebP, GIF, BMP, TIFF, and HEIC or AVIF files in base64.
_BASE64_START = re.compile(r"/9j/|iVBORw0KGgo|UklGR|R0lGOD|Qk[0-3]|SUkqA|TU0AK|AAAA.GZ0eX|_9j_")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+(?:={1,2}\s*)?")
_SHORTEST_BASE64 = 80  # characters; no image file is smaller, and few paths are longer (ours)
_TEXT_LIST = re.compile(r"\[\s*'[^'\\]*'(?:\s*,\s*'[^'\\]*')*\s*\]")


def cell_text(value: Any, name: str) -> str:
    """Return the text of a cell; a number as its text; "" for null and NaN. `name` names the cell in the error.

    Raises: MalformedRecord if it is neither text nor a number.
    """
    if isinstance(value, str):
        return value
    if is_missing(value):
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise MalformedRecord(what=f"{name} is {value_type(value)}, not text")


def answer_texts(value: Any, choices: Any = None, name: str = "its answer") -> list[str]:
    """Return the correct answers, best first; [] if there is none. A list holds several answers.

    With a list `choices`, a whole number is the index of the right choice. An object gives the text under `answer`,
    `text`, `value`, `caption` or `raw`. Raises: MalformedRecord if there is no such choice, or if the value is of
    another type.
    """
    if isinstance(choices, list) and choices and _is_index(value):
        if not 0 <= value < len(choices):
            raise MalformedRecord(what=f"{name} is the number {value}, but it has {len(choices)} choices, from 0")
        value = choices[int(value)]
    return [text for text in _texts(value, name, 0) if text.strip()]


def named_images(record: Mapping[str, Any], layout: Layout) -> list[ImageCell]:
    """Return the images that the record names under the keys of its columns, or under the usual keys.

    Raises: MalformedRecord if an image is neither a path nor image data, or if the keys `image` and `images` name
    different images; BrokenImage if base64 text is damaged; HugeImage if it is too long.
    """
    named = [key for key in layout.image_keys if key in record and not is_missing(record[key])]
    if not named:
        return []
    images = image_cells(record[named[0]])
    if set(named[:2]) == {"image", "images"}:
        others = image_cells(record[named[1]])
        longer, shorter = (images, others) if len(images) >= len(others) else (others, images)
        paths = {image for image in longer if isinstance(image, str)}
        if any(isinstance(image, str) and image not in paths for image in shorter):
            raise MalformedRecord(what="its keys image and images name different images")
        return longer
    return images


def image_cells(cell: Any) -> list[ImageCell]:
    """Return the images that a cell names, as a list; the cell may hold none, one, or a list.

    Raises: as `image_cell`.
    """
    if is_missing(cell):
        return []
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        cell = _listed(cell)
    return [image_cell(entry) for entry in cell] if isinstance(cell, list) else [image_cell(cell)]


def image_cell(cell: Any) -> ImageCell:
    """Return the path or the bytes of one image. The bytes are used if a cell of `datasets` {bytes, path} has both.

    Decodes data URIs and base64 text. Raises: MalformedRecord if the cell is neither a path nor image data; BrokenImage
    if base64 text is damaged; HugeImage if it is too long.
    """
    image = _image(cell, 0)
    if image is None:
        raise MalformedRecord(what=f"an image is {value_type(cell)}, not a path or image data")
    return image


def part_image(part: Mapping[str, Any]) -> ImageCell | None:
    """Return the image that a part of a message names; None if it names none. Raises: as `image_cell`."""
    if all(is_missing(part.get(key)) for key in (*_DATA_KEYS, *_PATH_KEYS)):
        return None
    return image_cell(part)


def reject_media(record: Mapping[str, Any]) -> None:
    """Raise Video if the record has a video or audio."""
    if _MEDIA_KEYS.keys().isdisjoint(record):
        return
    for key, media in _MEDIA_KEYS.items():
        if isinstance(record.get(key), str | bytes | EmbeddedImage | list | Mapping) and not is_missing(record[key]):
            raise Video(media=media)


_DATA_KEYS = ("bytes", "base64", "b64_json", "data")
_PATH_KEYS = ("source", "image_url", "input_image", "url", "path", "image", "file_name")


def _image(cell: Any, depth: int) -> ImageCell | None:
    if isinstance(cell, str):
        if not cell.strip():
            return None
        return _decoded(cell) if _is_data(cell) else cell
    if isinstance(cell, Mapping) and depth < _DEPTH:
        for key in _DATA_KEYS:
            if isinstance(data := cell.get(key), str) and data.strip():
                return _decoded(data)
            if isinstance(data, bytes | EmbeddedImage):
                return data
        found = next((cell[key] for key in _PATH_KEYS if not is_missing(cell.get(key))), None)
        return _image(found, depth + 1)
    return cell if isinstance(cell, bytes | EmbeddedImage) else None


def _is_data(text: str) -> bool:
    if _DATA_URI.match(text):
        return True
    return len(text) >= _SHORTEST_BASE64 and bool(_BASE64_START.match(text) and _BASE64.fullmatch(text))


def _decoded(text: str) -> bytes:
    """Return the bytes of a data URI or of base64 text."""
    if len(text) > MAX_BYTES * 3 // 2:  # base64 has 4 characters for 3 bytes, and line breaks
        raise HugeImage(path=_EMBEDDED, size=f"{len(text)} characters", limit=f"{MAX_BYTES} bytes")
    data, uri = b"", _DATA_URI.match(text)
    if uri and "base64" not in uri["type"].lower():
        data = unquote_to_bytes(text[uri.end() :].encode("utf-8", "replace"))
    else:
        text = "".join(text[uri.end() if uri else 0 :].split()).translate(str.maketrans("-_", "+/")).rstrip("=")
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError as error:
            raise BrokenImage(path=_EMBEDDED, why="its base64 text is damaged") from error
    if not data:
        raise BrokenImage(path=_EMBEDDED, why="it is empty")
    return data


def _listed(cell: str) -> Any:
    """Return the list that a text cell of a table holds, such as ["a.png", "b.png"]; else the cell unchanged."""
    text = cell.strip()
    if _TEXT_LIST.fullmatch(text):
        return re.findall(r"'([^']*)'", text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return cell
    return value if isinstance(value, list) and all(isinstance(entry, str) for entry in value) else cell


def _is_index(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))


def _texts(value: Any, name: str, depth: int) -> list[str]:
    if isinstance(value, list) and depth < _DEPTH:
        return [text for entry in value for text in _texts(entry, name, depth + 1)]
    if isinstance(value, Mapping) and depth < _DEPTH:
        key = next((key for key in _ANSWER_PARTS if key in value), None)
        if key is not None:
            return _texts(value[key], name, depth + 1)
    return [cell_text(value, name)]
