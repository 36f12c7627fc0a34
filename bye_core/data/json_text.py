"""Parses JSON text and yields its records with their positions, one record at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bye_core.data.json_errors import NotJson, TooDeep, explain, explain_rest, skip_blanks

_BAD_BYTE = re.compile("[\udc80-\udcff]")
_WINDOW = 2**16  # characters in which the end of an object over several lines is searched first
SHALLOW = 100  # levels of lists and objects that always can be parsed
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
LONGEST_WORD = 16  # characters of a literal or an escape sequence, which may be cut at the end of such a part
Found = tuple[Any, int, int]  # (value, start, end): a record and the positions of its text


@dataclass
class Records:
    """Where the records of a text are.

    kind     "list", "lines", "objects", "by id", "single", or "annotations": a list whose entries name images by id
    start    position of the list or object that holds the records
    unread   names of lists of records that were not chosen
    chosen   name of the list that was chosen
    others   where the text of each list in `unread` starts and ends
    files    maps the ids of images to the names of their files, for the kind "annotations"
    """

    kind: str
    start: int
    unread: list[str] = field(default_factory=list)
    chosen: str = ""
    others: list[tuple[int, int]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def _integer(digits: str) -> int | str:
    """Return a number with thousands of digits as text, because `int` raises an error for it."""
    return int(digits) if len(digits) <= 4000 else digits


DECODER = json.JSONDecoder(parse_int=_integer)


def decode(text: str) -> Any:
    """Parse one JSON value. Raises: NotJson."""
    value, end = decode_at(text, skip_blanks(text, 0))
    if skip_blanks(text, end) != len(text):
        raise explain_rest(text, skip_blanks(text, end))
    return value


def decode_at(text: str, position: int) -> tuple[Any, int]:
    """Parse the JSON value at `position`; return (value, its end). Raises: NotJson."""
    try:
        return DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise explain(text, error.pos, error.msg) from error
    except RecursionError as error:
        raise TooDeep(text, position) from error


def end_of(text: str, position: int) -> int:
    """Return where the list or object at `position` ends, however deeply it is nested. Raises: NotJson."""
    depth = 0
    for match in _TOKEN.finditer(text, position):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    raise explain(text, len(text), "")


def decode_shallow(text: str, position: int) -> Any:
    """Parse the list or object at `position` with null in place of what is nested too deeply. Raises: NotJson."""
    parts, kept, depth = [], position, 0
    for match in _TOKEN.finditer(text, position, end_of(text, position)):
        step = {"[": 1, "{": 1, "]": -1, "}": -1}.get(match.group(), 0)
        if step == 1 and depth == SHALLOW:
            parts += [text[kept : match.start()], "null"]
        depth += step
        if step == -1 and depth == SHALLOW:
            kept = match.end()
    return decode("".join([*parts, text[kept : end_of(text, position)]]))


def value_or_error(text: str, position: int) -> tuple[Any, int]:
    """Parse the JSON value at `position`; return (value, its end), or (TooDeep, its end)."""
    try:
        return decode_at(text, position)
    except TooDeep as error:
        try:
            return error, end_of(text, position)
        except NotJson:
            raise error from None


def to_text(data: bytes) -> str:
    """Decode UTF-8. Invalid bytes become lone surrogates: `BadText` reports them, `to_bytes` restores them."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def bad_byte(text: str) -> tuple[int, int] | None:
    """Return (position, value) of the first byte that is not UTF-8; None if there is none."""
    match = _BAD_BYTE.search(text)
    return (match.start(), ord(match.group()) - 0xDC00) if match else None


def separator(text: str) -> str:
    """Return what ends a line: "\\n", or "\\r" if the text has no "\\n"."""
    return "\r" if "\n" not in text and "\r" in text else "\n"


def read_records(text: str, found: Records) -> Iterator[Found]:
    """Yield every record with its position. A line that cannot be parsed yields its NotJson. Raises: NotJson."""
    if found.kind == "list":
        yield from _list(text, found.start)
    elif found.kind == "annotations":
        yield from ((with_file(value, found.files), start, end) for value, start, end in _list(text, found.start))
    elif found.kind == "by id":
        yield from _by_id(text, found.start)
    elif found.kind == "objects":
        yield from _objects(text, found.start)
    elif found.kind == "lines":
        yield from _lines(text)
    else:
        value, end = value_or_error(text, found.start)
        yield value, found.start, end


def _list(text: str, start: int) -> Iterator[Found]:
    position = skip_blanks(text, start + 1)
    more = text[position : position + 1] != "]"
    while more:
        value, end = value_or_error(text, position)
        yield value, position, end
        position = skip_blanks(text, end)
        more = text[position : position + 1] == ","
        if not more and text[position : position + 1] != "]":
            raise explain(text, position, "Expecting ',' delimiter")
        position = skip_blanks(text, position + 1) if more else position
    rest = skip_blanks(text, position + 1)
    if start == skip_blanks(text, 0) and rest < len(text):
        raise explain_rest(text, rest)


def members(text: str, start: int) -> Iterator[tuple[str, Any, int, int, int]]:
    """Yield (key, value, start of the key, start of the value, end of the value) for each entry of an object."""
    position = skip_blanks(text, start + 1)
    while text[position : position + 1] == '"':
        key, end = decode_at(text, position)
        colon = skip_blanks(text, end)
        if text[colon : colon + 1] != ":":
            raise explain(text, colon, "Expecting ':' delimiter")
        start = skip_blanks(text, colon + 1)
        value, end = value_or_error(text, start)
        yield key, value, position, start, end
        position = skip_blanks(text, end)
        if text[position : position + 1] != ",":
            return
        position = skip_blanks(text, position + 1)


def _by_id(text: str, start: int) -> Iterator[Found]:
    for key, value, position, _, end in members(text, start):
        yield with_id(key, value), position, end


def with_file(value: Any, files: Mapping[str, str]) -> Any:
    """Return an annotation of COCO with the name of its image file, which another list holds."""
    name = files.get(str(value.get("image_id"))) if isinstance(value, dict) else None
    return {**value, "file_name": value.get("file_name", name)} if name is not None else value


def with_id(key: str, value: Any) -> Any:
    """Return a record that an object names by `key`: the key is its id unless it has one."""
    return {"id": key, **value} if isinstance(value, dict) else value


def _objects(text: str, start: int) -> Iterator[Found]:
    while start < len(text):
        value, end = value_or_error(text, start)
        after = skip_blanks(text, end)
        if after < len(text) and text[after] != "{":
            raise explain_rest(text, after, "object")
        yield value, start, after
        start = after


def _lines(text: str) -> Iterator[Found]:
    """Yield the object on each line. An object may also take several lines."""
    start, number, line_end = 0, 0, separator(text)
    while start < len(text):
        number += 1
        end = text.find(line_end, start) + 1 or len(text)
        line = text[start:end]
        if line.strip(" \t\r\n"):
            try:
                value: Any = decode(line)
            except NotJson as error:
                several = _several_lines(text, skip_blanks(text, start), end)
                value = error.in_line(number)
                if several is not None:
                    number += text.count(line_end, end, several[1])
                    value, end = several
            yield value, start, end
        start = end


def _several_lines(text: str, start: int, line_end: int) -> tuple[Any, int] | None:
    """Return (the object that begins on this line and ends on a later one, the end of that line); None if none does."""
    found = object_over_lines(lambda length: (text[start : start + length], start + length >= len(text)))
    if found is None:
        return None
    value, end = found[0], start + len(found[1])
    stop = text.find(separator(text), end) + 1 or len(text)
    return None if end <= line_end or text[end:stop].strip(" \t\r\n") else (value, stop)


def object_over_lines(read: Callable[[int], tuple[str, bool]]) -> tuple[Any, str] | None:
    """Return (the object with which a text begins, its text); None if it begins with something else.

    read  returns (the first characters of the text, at most so many; whether that is all of it)
    """
    window = _WINDOW
    while True:  # in small parts of the text, so that many damaged lines in a long text cost little
        part, complete = read(window)
        if part[:1] != "{":
            return None
        try:
            value, length = DECODER.raw_decode(part)
            return value, part[:length]
        except json.JSONDecodeError as error:
            is_cut = error.msg.startswith("Unterminated string") or error.pos > len(part) - LONGEST_WORD
            if not is_cut or complete:
                return None
            window *= 4
        except RecursionError:
            return None
