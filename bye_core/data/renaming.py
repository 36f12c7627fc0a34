"""Writes other image paths into the raw text of a record, and changes nothing else.

The texts of a record that name an image are found by trial: a text is one of them if the record would name the old path
without its change. So no message or other value is changed, whatever it holds.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bye_core.data.formats.base import ParsedRecord
from bye_core.errors import DataError

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True)
class Renaming:
    """New paths for the images of one record.

    names  maps the path in the record to the new path
    read   parses the record
    """

    names: Mapping[str, str]
    read: Callable[[Any], ParsedRecord]


NO_RENAMINGS: Mapping[int, Renaming] = MappingProxyType({})


class NotRenamed(Exception):
    """The record's text does not name its images in a way that can be changed."""


@dataclass(frozen=True)
class _Token:
    """A text inside a record: its place, its value, and how to write another value there."""

    start: int
    end: int
    value: str
    encode: Callable[[str], str]


def rename_in_json(raw: str, renaming: Renaming, parse: Callable[[str], Any]) -> str:
    """Return the JSON text `raw` of a record with the new paths. `parse` returns the record of a text.

    Raises: NotRenamed if the paths cannot be changed.
    """
    tokens = []
    for match in _STRING.finditer(raw):
        try:
            value = json.loads(match.group(), strict=False)
        except ValueError:
            continue
        tokens.append(_Token(match.start(), match.end(), value, _json_string(raw.isascii())))
    return _rename(raw, tokens, renaming, parse)


def rename_in_row(raw: str, delimiter: str, renaming: Renaming, parse: Callable[[str], Any]) -> str:
    """Return the row `raw` of a CSV file with the new paths. Raises: as `rename_in_json`."""
    tokens = _cells(raw, delimiter)
    if [[token.value for token in tokens]] != list(csv.reader(raw.splitlines(keepends=True), delimiter=delimiter)):
        raise NotRenamed
    return _rename(raw, tokens, renaming, parse)


def _json_string(ascii_only: bool) -> Callable[[str], str]:
    return lambda value: json.dumps(value, ensure_ascii=ascii_only)


def _rename(raw: str, tokens: Sequence[_Token], renaming: Renaming, parse: Callable[[str], Any]) -> str:
    before = renaming.read(parse(raw))
    wanted = tuple(renaming.names.get(image, image) if isinstance(image, str) else image for image in before.images)
    changes = {
        k: new for k, token in enumerate(tokens) if (new := _renamed(token.value, renaming.names)) != token.value
    }

    def text(changed: Mapping[int, str]) -> str:
        parts, end = [], 0
        for k, value in changed.items():
            parts += [raw[end : tokens[k].start], tokens[k].encode(value)]
            end = tokens[k].end
        return "".join([*parts, raw[end:]])

    for k in list(changes):  # a text whose change is not needed names no image
        others = {other: value for other, value in changes.items() if other != k}
        if _images(text(others), renaming, parse) == wanted:
            changes = others
    after = renaming.read(parse(text(changes)))
    if after.images != wanted or (after.id, after.turns, after.references) != (
        before.id, before.turns, before.references,
    ):  # fmt: skip
        raise NotRenamed
    return text(changes)


def _images(raw: str, renaming: Renaming, parse: Callable[[str], Any]) -> tuple[Any, ...] | None:
    try:
        return renaming.read(parse(raw)).images
    except DataError:
        return None


def _renamed(value: str, names: Mapping[str, str]) -> str:
    """Return a text with the new paths: the text is a path, a list of paths, or holds <img>path</img>."""
    if value in names:
        return names[value]
    if value.lstrip().startswith(("[", "{")):
        text = _STRING.sub(lambda match: _renamed_string(match.group(), names), value)
        return re.sub(r"'([^'\\]*)'", lambda match: f"'{names.get(match[1], match[1])}'", text)
    if "<img>" not in value:
        return value
    return re.sub(r"(<img>\s*)([^<>]*?)(\s*</img>)", lambda m: m[1] + names.get(m[2], m[2]) + m[3], value)


def _renamed_string(text: str, names: Mapping[str, str]) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return json.dumps(names[value], ensure_ascii=text.isascii()) if value in names else text


def _cells(raw: str, delimiter: str) -> list[_Token]:
    """Split a row into its cells, as the module csv does."""
    tokens, start = [], 0
    body = raw.rstrip("\r\n")
    while start <= len(body):
        if body.startswith('"', start):
            end = start + 1
            while (end := body.find('"', end)) >= 0 and body.startswith('""', end):
                end += 2
            close = len(body) if end < 0 else end
            end = body.find(delimiter, close)
            end = len(body) if end < 0 else end
            value = body[start + 1 : close].replace('""', '"') + body[close + 1 : end]
            tokens.append(_Token(start, end, value, _quoted_cell))
        else:
            end = body.find(delimiter, start)
            end = len(body) if end < 0 else end
            tokens.append(_Token(start, end, body[start:end], _plain_cell(delimiter)))
        start = end + 1
    return tokens


def _quoted_cell(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _plain_cell(delimiter: str) -> Callable[[str], str]:
    return lambda value: _quoted_cell(value) if any(c in value for c in f'{delimiter}"\r\n') else value
