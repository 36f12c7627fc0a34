"""Finds the records in JSON text, whatever holds them, and says what is wrong with text that is not JSON.

Records may be the entries of a list, one object per line, objects one after the other (also over several lines), the
values of an object that names them by id, or a list inside an object, such as {"data": [...]}.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bye_core.data.faults import printable

PEEK = 64  # records or lines inspected to find out what the text holds
DEEPEST = 4  # objects around the list of records
_BLANKS = re.compile("[ \t\r\n\ufeff]*")  # a byte order mark is left between files that were joined
_LINE_END = re.compile(r"\r\n|\r|\n")
_BAD_BYTE = re.compile("[\udc80-\udcff]")
_WORD = re.compile(r"[^\W\d]\w*")
Found = tuple[Any, int, int]  # (value, start, end): a record and the positions of its text

ONE_LIST = "Save the file as one JSON list of records, or as JSON Lines with one record per line."


class NotJson(ValueError):
    """Text that is not JSON: what was seen, where, and what to do."""

    def __init__(self, text: str, position: int, seen: str, do: str = ONE_LIST) -> None:
        self.where = place(text, position)
        self.seen, self.do = seen, do
        super().__init__()

    def __str__(self) -> str:
        return f"{self.where}: {self.seen}"


class SeveralLists(ValueError):
    """An object holds several lists of records, and it is unclear which one to read."""

    def __init__(self, names: list[str], wanted: str | None = None) -> None:
        self.names, self.wanted = names, wanted
        super().__init__()


@dataclass
class Records:
    """Where the records of a text are.

    kind     "list", "lines", "objects", "by id" or "single"
    start    position of the list or object that holds the records
    unread   names of lists of records that were not chosen
    chosen   name of the list that was chosen
    """

    kind: str
    start: int
    unread: list[str] = field(default_factory=list)
    chosen: str = ""


def _integer(digits: str) -> int | str:
    """Return a number with thousands of digits as text, because `int` raises an error for it."""
    return int(digits) if len(digits) <= 4000 else digits


_DECODER = json.JSONDecoder(parse_int=_integer)


def decode(text: str) -> Any:
    """Parse one JSON value. Raises: NotJson."""
    value, end = decode_at(text, skip_blanks(text, 0))
    if skip_blanks(text, end) != len(text):
        raise explain_rest(text, skip_blanks(text, end))
    return value


def decode_at(text: str, position: int) -> tuple[Any, int]:
    """Parse the JSON value at `position`; return (value, its end). Raises: NotJson."""
    try:
        return _DECODER.raw_decode(text, position)
    except json.JSONDecodeError as error:
        raise explain(text, error.pos, error.msg) from error
    except RecursionError as error:
        raise NotJson(text, position, "lists or objects are nested too deeply") from error


def skip_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def place(text: str, position: int) -> str:
    """Return "line 3, column 5" for a position in the text."""
    ends = [match.end() for match in _LINE_END.finditer(text, 0, position)]
    return f"line {len(ends) + 1:,}, column {position - (ends[-1] if ends else 0) + 1:,}"


def bad_byte(text: str) -> tuple[int, int] | None:
    """Return (position, value) of the first byte that is not UTF-8; None if there is none."""
    match = _BAD_BYTE.search(text)
    return (match.start(), ord(match.group()) - 0xDC00) if match else None


def find_records(text: str, is_record: Callable[[Any], bool], split: str | None, lines: bool) -> Records:
    """Find out how the text holds its records.

    is_record  returns whether an object is a record by its keys
    split      name of the list to read if an object holds several
    lines      whether the file's suffix says that it has one record per line
    Raises: NotJson if the text begins with something else than a record or a list; SeveralLists.
    """
    start = skip_blanks(text, 0)
    if start == len(text):
        if not lines:
            raise explain(text, start, "")
        return Records("lines", 0)
    if text[start] == "[":
        return Records("lines" if _has_lines(text, False) else "list", start)
    if text[start] != "{":
        if _has_lines(text, lines):
            return Records("lines", 0)
        raise explain(text, start, "")
    try:
        first, end = decode_at(text, start)
    except NotJson:
        if _has_lines(text, lines):
            return Records("lines", 0)
        raise
    after = skip_blanks(text, end)
    if after == len(text):
        return _in_object(first, text, start, is_record, split)
    line_end = separator(text)
    if text[after] == "{" and (line_end in text[start:end] or line_end not in text[end:after]):
        return Records("objects", start)
    if text[after] == "{" or (_has_lines(text, lines) and not _has_commas(text)):
        return Records("lines", 0)
    raise explain_rest(text, after, "object")


def read_records(text: str, found: Records) -> Iterator[Found]:
    """Yield every record with its position. A line that cannot be parsed yields its NotJson. Raises: NotJson."""
    if found.kind == "list":
        yield from _list(text, found.start)
    elif found.kind == "by id":
        yield from _by_id(text, found.start)
    elif found.kind == "objects":
        yield from _objects(text, found.start)
    elif found.kind == "lines":
        yield from _lines(text)
    else:
        value, end = decode_at(text, found.start)
        yield value, found.start, end


def separator(text: str) -> str:
    """Return what ends a line: "\\n", or "\\r" if the text has no "\\n"."""
    return "\r" if "\n" not in text and "\r" in text else "\n"


def _has_lines(text: str, lines: bool) -> bool:
    """Return whether the text has one object per line, although its first line cannot be parsed."""
    good = total = 0
    for line in itertools.islice((line for line in text[: 2**24].split(separator(text)) if line.strip()), PEEK):
        total += 1
        if line.lstrip().startswith("{"):
            try:
                good += isinstance(decode(line), dict)
            except NotJson:
                continue
    opened = text.lstrip().split(separator(text), 1)[0].rstrip().endswith(("[", "{", ","))
    return total > 1 and good > 0 and (good * 2 >= total or (lines and not opened))


def _has_commas(text: str) -> bool:
    """Return whether most lines end with a comma: then the text is a list whose brackets are missing."""
    lines = [line.rstrip() for line in text[: 2**24].split(separator(text)) if line.strip()][:PEEK]
    return sum(line.endswith(",") for line in lines[:-1]) * 2 > len(lines) - 1


def _list(text: str, start: int) -> Iterator[Found]:
    position = skip_blanks(text, start + 1)
    more = text[position : position + 1] != "]"
    while more:
        value, end = decode_at(text, position)
        yield value, position, end
        position = skip_blanks(text, end)
        more = text[position : position + 1] == ","
        if not more and text[position : position + 1] != "]":
            raise explain(text, position, "Expecting ',' delimiter")
        position = skip_blanks(text, position + 1) if more else position
    rest = skip_blanks(text, position + 1)
    if start == skip_blanks(text, 0) and rest < len(text):
        raise explain_rest(text, rest)


def _members(text: str, start: int) -> Iterator[tuple[str, Any, int, int, int]]:
    """Yield (key, value, start of the key, start of the value, end of the value) for each entry of an object."""
    position = skip_blanks(text, start + 1)
    while text[position : position + 1] == '"':
        key, end = decode_at(text, position)
        colon = skip_blanks(text, end)
        if text[colon : colon + 1] != ":":
            raise explain(text, colon, "Expecting ':' delimiter")
        start = skip_blanks(text, colon + 1)
        value, end = decode_at(text, start)
        yield key, value, position, start, end
        position = skip_blanks(text, end)
        if text[position : position + 1] != ",":
            return
        position = skip_blanks(text, position + 1)


def _by_id(text: str, start: int) -> Iterator[Found]:
    for key, value, position, _, end in _members(text, start):
        yield with_id(key, value), position, end


def with_id(key: str, value: Any) -> Any:
    """Return a record that an object names by `key`: the key is its id unless it has one."""
    return {"id": key, **value} if isinstance(value, dict) else value


def _objects(text: str, start: int) -> Iterator[Found]:
    while start < len(text):
        value, end = decode_at(text, start)
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
                value = in_line(error, number)
                if several is not None:
                    number += text.count(line_end, end, several[1])
                    value, end = several
            yield value, start, end
        start = end


def _several_lines(text: str, start: int, line_end: int) -> tuple[Any, int] | None:
    """Return (the object that begins on this line and ends on a later one, the end of that line); None if none does."""
    if text[start : start + 1] != "{":
        return None
    try:
        value, end = decode_at(text, start)
    except NotJson:
        return None
    stop = text.find(separator(text), end) + 1 or len(text)
    return None if end <= line_end or text[end:stop].strip(" \t\r\n") else (value, stop)


def in_line(error: NotJson, number: int) -> NotJson:
    """Return an error of a single line with the number of the line in the file."""
    error.where = error.where.replace("line 1,", f"line {number:,},", 1)
    error.seen = error.seen.replace("the file ends", "the line ends", 1)
    return error


def _in_object(value: Any, text: str, start: int, is_record: Callable[[Any], bool], split: str | None) -> Records:
    """Find the records in a text that is one object: a record itself, records by id, or lists of records."""
    unread: list[str] = []
    chosen, single = "", start
    for _ in range(DEEPEST):
        if _has_columns(value, is_record):
            seen = f"one object that holds a table column by column ({_names(value)})"
            raise NotJson(text, start, seen, "Save one object per record, in pandas with orient='records'.")
        if is_record(value) and not (split and isinstance(value.get(split), list)):
            return Records("single", start, unread, chosen)
        objects = [entry for entry in value.values() if isinstance(entry, dict)]
        if len([entry for entry in objects if is_record(entry)]) * 2 > len(value):
            return Records("by id", start, unread, chosen)
        lists = {key: entry for key, entry in value.items() if _is_list_of_records(entry)}
        empty = {key: entry for key, entry in value.items() if entry == []}
        inner = {key: entry for key, entry in value.items() if _holds_records(entry, is_record)}
        parts = lists or (empty if len(empty) == 1 else {}) or inner
        if not parts:
            break
        name = _choose(list(parts), split)
        unread += [key for key in parts if key != name]
        chosen, start = name, _value_of(text, start, name)
        if isinstance(parts[name], list):
            return Records("list", start, unread, chosen)
        value = parts[name]
    return Records("single", single)


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


def _value_of(text: str, start: int, name: str) -> int:
    """Return where the value of a key begins. Raises: NotJson if the key occurs twice."""
    places = [position for key, _, _, position, _ in _members(text, start) if key == name]
    if len(places) > 1:
        raise NotJson(text, places[1], f"the key {printable(name)} a second time", "Give every list its own key.")
    return places[0]


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(v, dict) and not _is_message(v) for v in value[:PEEK])


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(value.get(key), str) for key in ("role", "from"))


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


def explain_rest(text: str, position: int, what: str = "list") -> NotJson:
    """Return the error for text after the end of the first value."""
    if text[position] == "," and what == "object":
        do = "Put [ before the first object and ] after the last one."
        return NotJson(text, position, "a comma between objects that are in no list", do)
    if text[position] == "[":
        return NotJson(text, position, "a second list begins after the end of the first one", ONE_LIST)
    return NotJson(text, position, f"there is more text after the end of the {what}: {_quote(text, position)}")


def explain(text: str, position: int, message: str) -> NotJson:
    """Return the error for text that is not JSON at `position`; `message` is the decoder's."""
    position = skip_blanks(text, position)
    before = text[:position].rstrip(" \t\r\n")[-1:] if position else ""
    rest = text[position : position + 40]
    if position >= len(text):
        seen = "the file is empty" if not text.strip() else "the file ends in the middle of a record"
        return NotJson(text, len(text.rstrip()), seen, "Copy or download the file again: its end is missing.")
    if message.startswith("Unterminated string"):
        do = "Check whether the end of the file is missing, or put a backslash before quotes inside the text."
        return NotJson(
            text, position, "a text begins here and does not end: the file is cut off or a quote is missing", do
        )
    if message.startswith("Invalid control character"):
        return NotJson(text, position, "a line break or control character inside a text", "Write it as \\n or \\t.")
    if message.startswith("Invalid \\"):
        return NotJson(text, position, f"a backslash that JSON does not know: {_quote(text, position)}", "Write \\\\.")
    if rest.startswith(("//", "/*", "#")):
        return NotJson(text, position, "a comment, which JSON does not have", "Delete the comments.")
    if (before == "," and rest[0] in "]}") or (rest[0] == "," and _next(text, position + 1) in ("]", "}")):
        return NotJson(text, position, "a comma before the closing bracket", "Delete that comma.")
    if rest[0] in "'\u2018\u2019\u201c\u201d":
        return NotJson(text, position, f'the quote {rest[0]} in place of "', "Save the file with `json.dump`.")
    if rest[0] == "<":
        return NotJson(text, position, "an HTML or XML text", "Download the file again: this may be a page about it.")
    return _explain_word(text, position, message)


def _explain_word(text: str, position: int, message: str) -> NotJson:
    word = _WORD.match(text, position)
    if word and word.group() in ("True", "False", "None", "nan"):
        seen = f"the Python word {word.group()}"
        return NotJson(text, position, seen, "Save the file with `json.dump`, which writes true, false and null.")
    if word and message.startswith("Expecting property name"):
        seen = f"the key {printable(word.group())[:40]} without quotes, as in JSON5 or JavaScript"
        return NotJson(text, position, seen, 'Put every key in double quotes, as in "id".')
    if message.startswith("Expecting ','"):
        return NotJson(text, position, f"a comma or bracket is missing before {_quote(text, position)}")
    if message.startswith("Expecting ':'"):
        return NotJson(text, position, f"a colon is missing before {_quote(text, position)}")
    return NotJson(text, position, f"{_quote(text, position)}, which is not JSON")


def _next(text: str, position: int) -> str:
    position = skip_blanks(text, position)
    return text[position : position + 1]


def _quote(text: str, position: int) -> str:
    """Return the next characters of the text, without line breaks."""
    part = _LINE_END.split(text[position : position + 20])[0].strip()
    return printable(part) or "a line break"
