"""Reads the records of a large JSON file part by part: a list of records, or one record per line.

Anything else, also an error in the file, raises NotStreamed: the file is then read as a whole (see json_layouts).
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from bye_core.data.json_errors import NotJson, TooDeep, skip_blanks
from bye_core.data.json_layouts import LONGEST_PEEK, has_lines
from bye_core.data.json_text import (
    DECODER,
    LONGEST_WORD,
    Found,
    bad_byte,
    decode,
    end_of,
    object_over_lines,
    to_bytes,
    to_text,
    value_or_error,
)
from bye_core.files import CHUNK, StoredBytes

_UTF8 = codecs.getincrementaldecoder("utf-8")
_BLANK = b" \t\r\n"


class NotStreamed(Exception):
    """The file must be read as a whole."""


def stream_records(data: StoredBytes, lines: bool) -> tuple[str, Iterator[Found]]:
    """Return (the kind as in json_text.Records, the records with their positions in bytes).

    lines  whether the file's suffix says that it has one record per line
    Raises: NotStreamed, also while the records are read.
    """
    head = _UTF8("surrogateescape").decode(data[:LONGEST_PEEK])
    start = skip_blanks(head, 0)
    if head[start : start + 1] == "[" and not has_lines(head, False):
        return "list", _stream_list(data, len(to_bytes(head[:start])))
    if "\n" in head and _one_object_a_line(head, start, lines, len(data) > LONGEST_PEEK):
        return "lines", _stream_lines(data)
    raise NotStreamed


def _one_object_a_line(head: str, start: int, lines: bool, cut: bool) -> bool:
    """Return whether `find_records` would find lines. `cut`: whether the file has more text than `head`."""
    if head[start : start + 1] != "{":
        return has_lines(head, lines)
    try:
        _, end = value_or_error(head, start)
    except NotJson as error:
        ends_later = cut and "\n" not in head[error.position :]  # the first object may be longer than `head`
        return not ends_later and has_lines(head, lines)
    after = skip_blanks(head, end)
    return head[after : after + 1] == "{" and "\n" in head[end:after] and "\n" not in head[start:end]


class _Text:
    """A part of the file as text. `more` drops what was read and adds the next bytes."""

    def __init__(self, data: StoredBytes, start: int) -> None:
        self._data, self._next, self._decoder = data, start, _UTF8("surrogateescape")
        self._byte, self._done = start, 0  # where the character at `_done` is in the file
        self.text, self.final = "", False
        self.more(0)

    def more(self, position: int) -> None:
        """Add the next bytes. The character at `position` is the first one afterwards."""
        self.byte(position)
        raw = self._data[self._next : self._next + max(CHUNK, 2 * (len(self.text) - position))]
        self._next += len(raw)
        self.final = self._next >= len(self._data)
        added = self._decoder.decode(raw, self.final)
        if not added.isascii() and bad_byte(added):
            raise NotStreamed
        self.text, self._done = self.text[position:] + added, 0

    def byte(self, position: int) -> int:
        """Return where a character is in the file. Positions must not decrease between two calls of `more`."""
        part = self.text[self._done : position]
        self._byte += len(part) if part.isascii() else len(to_bytes(part))
        self._done = position
        return self._byte

    def skip_blanks(self, position: int) -> int:
        while (position := skip_blanks(self.text, position)) == len(self.text) and not self.final:
            self.more(position)
            position = 0
        return position

    def value(self, position: int) -> tuple[Any, int, int]:
        """Return (the value at `position`, where it starts and ends now). A value nested too deeply is TooDeep."""
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, position)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos > len(self.text) - LONGEST_WORD
                if self.final or not cut:
                    raise NotStreamed from None
                end = len(self.text)
            except RecursionError:
                value, end = TooDeep(self.text, position), self._end_of(position)
            if end < len(self.text) or self.final:
                return value, position, end
            self.more(position)  # the end of a number may be cut off, too
            position = 0

    def _end_of(self, position: int) -> int:
        try:
            return end_of(self.text, position)
        except NotJson:
            if self.final:
                raise NotStreamed from None
            return len(self.text)


def _stream_list(data: StoredBytes, start: int) -> Iterator[Found]:
    part = _Text(data, start)
    position = part.skip_blanks(1)
    more = part.text[position : position + 1] != "]"
    while more:
        value, position, end = part.value(position)
        first, last = part.byte(position), part.byte(end)
        yield value, first, last
        position = part.skip_blanks(end)
        more = part.text[position : position + 1] == ","
        if not more and part.text[position : position + 1] != "]":
            raise NotStreamed
        position = part.skip_blanks(position + 1) if more else position
    if part.skip_blanks(position + 1) < len(part.text):
        raise NotStreamed


class _Lines:
    """The lines of the file, in bytes."""

    def __init__(self, data: StoredBytes) -> None:
        self._data, self._held, self._begin = data, b"", 0

    def end(self, position: int) -> int:
        """Return where the line that holds the byte at `position` ends."""
        if position < self._begin:  # a search for the end of an object has gone beyond this line
            self._held, self._begin = b"", position
        while (found := self._held.find(b"\n", position - self._begin)) < 0:
            kept = self._held[position - self._begin :]
            next = position + len(kept)
            if next >= len(self._data):
                return len(self._data)
            self._held, self._begin = kept + self._data[next : next + max(CHUNK, len(kept))], position
        return self._begin + found + 1

    def part(self, start: int, end: int) -> bytes:
        if self._begin <= start and end <= self._begin + len(self._held):
            return self._held[start - self._begin : end - self._begin]
        return self._data[start:end]


def _stream_lines(data: StoredBytes) -> Iterator[Found]:
    lines, start, number = _Lines(data), 0, 0
    while start < len(data):
        number += 1
        end = lines.end(start)
        line = lines.part(start, end)
        if line.strip(_BLANK):
            text = to_text(line)
            if not text.isascii() and bad_byte(text):
                raise NotStreamed
            try:
                value: Any = decode(text)
            except NotJson as error:
                value = error.in_line(number)
                if (over := _object_over_lines(data, lines, start + skip_blanks(text, 0), end)) is not None:
                    number += data[end : over[1]].count(b"\n")
                    value, end = over
            yield value, start, end
        start = end


def _object_over_lines(data: StoredBytes, lines: _Lines, start: int, line_end: int) -> tuple[Any, int] | None:
    """Return (the object that begins on this line and ends on a later one, the end of that line); None if none does."""

    def read(length: int) -> tuple[str, bool]:
        return _UTF8("surrogateescape").decode(data[start : start + length]), start + length >= len(data)

    found = object_over_lines(read)
    if found is None:
        return None
    value, text = found
    if not text.isascii() and bad_byte(text):
        raise NotStreamed
    end = start + len(to_bytes(text))
    stop = lines.end(end) if end < len(data) else end
    return None if end <= line_end or data[end:stop].strip(_BLANK) else (value, stop)
