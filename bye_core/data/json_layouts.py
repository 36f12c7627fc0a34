"""Finds out how a JSON text holds its records.

Records may be the entries of a list, one object per line, objects one after the other (also over several lines), the
values of an object that names them by id, or a list inside an object, such as {"data": [...]}.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from bye_core.data.faults import printable
from bye_core.data.formats.base import IMAGE_KEYS
from bye_core.data.json_errors import NotJson, TooDeep, explain, explain_rest, skip_blanks
from bye_core.data.json_text import Records, decode, decode_at, decode_shallow, end_of, members, separator

PEEK = 64  # records or lines inspected to find out what the text holds
LONGEST_PEEK = 2**24  # characters of these lines together
DEEPEST = 4  # objects around the list of records


class SeveralLists(ValueError):
    """An object holds several lists of records, and it is unclear which one to read."""

    def __init__(self, names: list[str], wanted: str | None = None) -> None:
        self.names, self.wanted = names, wanted
        super().__init__()


def find_records(
    text: str,
    is_record: Callable[[Any], bool],
    split: str | None,
    lines: bool,
    is_complete: Callable[[Any], bool] = bool,
) -> Records:
    """Find out how the text holds its records.

    is_record    returns whether an object is a record by its keys; one key may suffice
    is_complete  returns whether it has all keys of a record
    split        name of the list to read if an object holds several
    lines        whether the file's suffix says that it has one record per line
    Raises: NotJson if the text begins with something else than a record or a list; SeveralLists.
    """
    start = skip_blanks(text, 0)
    if start == len(text):
        if not lines:
            raise explain(text, start, "")
        return Records("lines", 0)
    if text[start] == "[":
        return Records("lines" if has_lines(text, False) else "list", start)
    if text[start] != "{":
        if has_lines(text, lines):
            return Records("lines", 0)
        raise explain(text, start, "")
    try:
        first, end = decode_at(text, start)
    except TooDeep as error:
        try:
            first, end = decode_shallow(text, start), end_of(text, start)
        except NotJson:
            if has_lines(text, lines):
                return Records("lines", 0)
            raise error from None
    except NotJson:
        if has_lines(text, lines):
            return Records("lines", 0)
        raise
    after = skip_blanks(text, end)
    if after == len(text):
        return _in_object(first, text, start, is_record, split, is_complete)
    line_end = separator(text)
    if text[after] == "{" and (line_end in text[start:end] or line_end not in text[end:after]):
        return Records("objects", start)
    if text[after] == "{" or (has_lines(text, lines) and not _has_commas(text)):
        return Records("lines", 0)
    raise explain_rest(text, after, "object")


def has_lines(text: str, lines: bool) -> bool:
    """Return whether the text has one object per line, although its first line cannot be parsed."""
    first = _first_lines(text)
    good = 0
    for line in first:
        if line.startswith("{"):
            try:
                good += isinstance(decode(line), dict)
            except NotJson:
                continue
    opened = bool(first) and first[0].endswith(("[", "{", ","))
    return len(first) > 1 and good > 0 and (good * 2 >= len(first) or (lines and not opened))


def _has_commas(text: str) -> bool:
    """Return whether most lines end with a comma: then the text is a list whose brackets are missing."""
    lines = _first_lines(text)
    return sum(line.endswith(",") for line in lines[:-1]) * 2 > len(lines) - 1


def _first_lines(text: str) -> list[str]:
    """Return the first lines that are not blank, without the white space around them."""
    lines: list[str] = []
    line_end, position, limit = separator(text), skip_blanks(text, 0), min(len(text), LONGEST_PEEK)
    while position < limit and len(lines) < PEEK:
        end = text.find(line_end, position, limit)
        lines.append(text[position : end if end >= 0 else limit].strip())
        position = skip_blanks(text, end) if end >= 0 else limit
    return [line for line in lines if line]


def _in_object(
    value: Any,
    text: str,
    start: int,
    is_record: Callable[[Any], bool],
    split: str | None,
    is_complete: Callable[[Any], bool],
) -> Records:
    """Find the records in a text that is one object: a record itself, records by id, or lists of records."""
    unread: list[str] = []
    others: list[tuple[int, int]] = []
    chosen, single = "", start
    for _ in range(DEEPEST):
        if files := _image_files(value):
            return Records(
                "annotations", _value_of(text, start, "annotations")[0], unread, "annotations", others, files
            )
        if _has_columns(value, is_record):
            seen = f"one object that holds a table column by column ({_names(value)})"
            raise NotJson(text, start, seen, "Save one object per record, in pandas with orient='records'.")
        record = is_record(value) or _names_image(value)
        if record and not (split and isinstance(value.get(split), list)):
            return Records("single", start, unread, chosen, others)
        objects = [entry for entry in value.values() if isinstance(entry, dict)]
        if len([entry for entry in objects if is_record(entry)]) * 2 > len(value):
            return Records("by id", start, unread, chosen, others)
        lists = {key: entry for key, entry in value.items() if _is_list_of_records(entry)}
        if split not in lists:  # a list of licences or of categories is no split
            lists = {key: rows for key, rows in lists.items() if any(map(is_record, rows[:PEEK]))} or lists
            lists = {key: rows for key, rows in lists.items() if any(map(is_complete, rows[:PEEK]))} or lists
        empty = {key: entry for key, entry in value.items() if entry == []}
        inner = {key: entry for key, entry in value.items() if _holds_records(entry, is_record)}
        parts = lists or (empty if len(empty) == 1 else {}) or inner
        if not parts:
            break
        name = _choose(list(parts), split)
        unread += [key for key in parts if key != name]
        others += [_value_of(text, start, key) for key in parts if key != name]
        chosen, start = name, _value_of(text, start, name)[0]
        if isinstance(parts[name], list):
            return Records("list", start, unread, chosen, others)
        value = parts[name]
    return Records("single", single)


def _names_image(value: Mapping[str, Any]) -> bool:
    """Return whether an object names its own image, and its lists of objects name none: then it is one record."""
    entries = [entry for rows in value.values() if _is_list_of_records(rows) for entry in rows[:PEEK]]
    names = any(isinstance(value.get(key), str) for key in IMAGE_KEYS)
    return names and not any(isinstance(e, dict) and not e.keys().isdisjoint(IMAGE_KEYS) for e in entries)


def _image_files(value: Mapping[str, Any]) -> dict[str, str]:
    """Return {id: file name} of the images in COCO's layout, the lists `images` and `annotations`; else {}."""
    images, annotations = value.get("images"), value.get("annotations")
    if not (isinstance(images, list) and isinstance(annotations, list) and images and annotations):
        return {}
    named = [image for image in images if isinstance(image, dict) and isinstance(image.get("file_name"), str)]
    if len(named) * 2 < len(images) or not all(
        isinstance(entry, dict) and "image_id" in entry for entry in annotations[:PEEK]
    ):
        return {}
    return {str(image["id"]): image["file_name"] for image in named if "id" in image}


def _holds_records(value: Any, is_record: Callable[[Any], bool], depth: int = DEEPEST) -> bool:
    """Return whether an object holds records by id or a list of records, at most `depth` objects deep."""
    if not isinstance(value, dict) or depth == 0:
        return False
    entries = list(value.values())
    if any(_is_list_of_records(entry) or (isinstance(entry, dict) and is_record(entry)) for entry in entries):
        return True
    return any(_holds_records(entry, is_record, depth - 1) for entry in entries[:PEEK])


def _choose(names: list[str], split: str | None) -> str:
    if split in names:
        return str(split)
    if len(names) == 1:
        return names[0]
    if split is None and "train" in names:
        return "train"
    raise SeveralLists(names, split)


def _value_of(text: str, start: int, name: str) -> tuple[int, int]:
    """Return where the value of a key starts and ends. Raises: NotJson if the key occurs twice."""
    places = [(position, end) for key, _, _, position, end in members(text, start) if key == name]
    if len(places) > 1:
        raise NotJson(text, places[1][0], f"the key {printable(name)} a second time", "Give every list its own key.")
    return places[0]


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(v, dict) and not _is_message(v) for v in value[:PEEK])


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value.get(key), str) for key in ("role", "from", "user"))


def _has_columns(value: dict[str, Any], is_record: Callable[[Any], bool]) -> bool:
    """Return whether an object holds a table column by column: its values are lists or objects of equal length."""
    columns = list(value.values())
    kinds = {type(column) for column in columns}
    if len(columns) < 2 or kinds not in ({list}, {dict}):
        return False
    if kinds == {dict}:
        same = all(column.keys() == columns[0].keys() for column in columns)
        first = {key: next(iter(column.values()), None) for key, column in value.items()}
        return same and bool(columns[0]) and "id" not in columns[0] and is_record(first)
    if len({len(column) for column in columns}) != 1 or any(_is_message(column[0]) for column in columns if column):
        return False
    return bool(columns[0]) and is_record({key: column[0] for key, column in value.items()})


def _names(value: Mapping[str, Any]) -> str:
    return ", ".join(printable(key) for key in itertools.islice(value, 5))
