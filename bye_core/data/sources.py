"""Reads annotation files of text (JSON, JSONL, CSV) and remembers the position of each record in the file.

Records are written by copying their bytes: numbers, escapes, unknown keys and white space are unchanged. The parsers of
pyarrow and `datasets` do not report these positions, so this module builds on `json` and `csv`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bye_core.data.faults import Refusal

BOM = "\ufeff"
_BLANKS = re.compile(r"[ \t\r\n]*")


class NotReadable(Refusal):
    problem = "{path} cannot be read: {why}."
    remedy = "Check that the file is complete and that its content fits its suffix."


@dataclass(frozen=True)
class Unreadable:
    """A record that could not be parsed: why, and its text in the file."""

    why: str
    text: str = ""


class Source(Protocol):
    """A file of records. Iterate over `rows` to the end before you call the other methods."""

    path: Path

    def rows(self) -> Iterator[Any]:
        """Yield every record, with EMBEDDED_IMAGE in place of images inside tables; Unreadable if parsing fails."""

    def record(self, index: int) -> Any:
        """Return one record unchanged."""

    def digest(self) -> str:
        """Return the SHA-256 of the content."""

    def write(self, indices: Sequence[int], folder: Path) -> list[Path]:
        """Write exactly the records `indices` as files of the same kind; return the written files."""


class TextSource:
    """The base class for text files: stores the bytes of the file and the start and end of each record in them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise NotReadable(path=path, why=error.strerror or error) from error
        self.spans = array("q")  # start and end of each record, in bytes, one after the other

    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def raw(self, index: int) -> bytes:
        return self.data[self.spans[2 * index] : self.spans[2 * index + 1]]

    def record(self, index: int) -> Any:
        value = parse(to_text(self.raw(index)))
        return value.text if isinstance(value, Unreadable) else value

    def write(self, indices: Sequence[int], folder: Path) -> list[Path]:
        target = folder / self.path.name
        with target.open("wb") as file:
            for chunk in self.chunks(indices):
                file.write(chunk)
        return [target]

    def chunks(self, indices: Sequence[int]) -> Iterator[bytes]:
        return (self.raw(index) for index in indices)


class JsonSource(TextSource):
    """One JSON array. `write` also copies the text before, between and after the records."""

    def rows(self) -> Iterator[Any]:
        text, ascii_only = to_text(self.data), self.data.isascii()
        spans, offset, done = array("q"), 0, 0
        for value, start, end in self._elements(text):
            if ascii_only:
                spans.extend((start, end))
            else:
                offset += len(to_bytes(text[done:start]))
                spans.append(offset)
                offset, done = offset + len(to_bytes(text[start:end])), end
                spans.append(offset)
            yield value
        self.spans = spans

    def _elements(self, text: str) -> Iterator[tuple[Any, int, int]]:
        try:
            position = _skip_blanks(text, len(BOM) if text.startswith(BOM) else 0)
            if text[position : position + 1] != "[":
                raise ValueError("it is not a list of records")
            position = _skip_blanks(text, position + 1)
            more = text[position : position + 1] != "]"
            while more:
                value, end = _DECODER.raw_decode(text, position)
                yield value, position, end
                position = _skip_blanks(text, end)
                more = text[position : position + 1] == ","
                if not more and text[position : position + 1] != "]":
                    raise ValueError(f"no comma or bracket at character {position}")
                position = _skip_blanks(text, position + 1) if more else position
            if _skip_blanks(text, position + 1) != len(text):
                raise ValueError(f"there is text after the end of the list, at character {position + 1}")
        except (ValueError, RecursionError) as error:
            raise NotReadable(path=self.path, why=error) from error

    def chunks(self, indices: Sequence[int]) -> Iterator[bytes]:
        spans = self.spans
        yield self.data[: spans[0]]
        for position, index in enumerate(indices):
            if position:  # copy the gap before this record
                yield self.data[spans[2 * index - 1] : spans[2 * index]]
            yield self.raw(index)
        yield self.data[spans[-1] :]


class JsonlSource(TextSource):
    """One JSON object on each line. A line that cannot be parsed does not affect other lines."""

    def rows(self) -> Iterator[Any]:
        spans, start = array("q"), 0
        while start < len(self.data):
            end = self.data.find(b"\n", start) + 1 or len(self.data)
            text = to_text(self.data[start:end])
            if text.strip(f"{BOM} \t\r\n"):
                spans.extend((start, end))
                yield parse(text)
            start = end
        self.spans = spans


class CsvSource(TextSource):
    """A table with a header row; the delimiter is a comma, a semicolon or a tab."""

    header: tuple[str, ...] = ()
    _header_end = 0  # bytes
    _delimiter = ","

    def rows(self) -> Iterator[Any]:
        text = to_text(self.data)
        skipped = len(to_bytes(BOM)) if text.startswith(BOM) else 0
        first = text.split("\n", 1)[0]
        self._delimiter = max(",;\t", key=first.count)
        spans, self._header_end = array("q"), 0
        for cells, start, end in self._lines(text.removeprefix(BOM), skipped):
            if cells == []:
                continue
            if not self._header_end:
                self._read_header(cells, end)
                continue
            spans.extend((start, end))
            yield self._object(cells)
        self.spans = spans

    def _lines(self, text: str, consumed: int) -> Iterator[tuple[list[str] | Unreadable, int, int]]:
        """Yield (row, start, end) with positions in bytes. The parser reads no more lines than a row needs."""

        def counted() -> Iterator[str]:
            nonlocal consumed
            for line in io.StringIO(text, newline=""):
                consumed += len(to_bytes(line))
                yield line

        reader = csv.reader(counted(), delimiter=self._delimiter)
        while True:
            start = consumed
            try:
                cells: list[str] | Unreadable = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells = Unreadable(str(error), to_text(self.data[start:consumed]))
            yield cells, start, consumed

    def _read_header(self, cells: list[str] | Unreadable, end: int) -> None:
        if isinstance(cells, Unreadable) or len(set(cells)) < len(cells):
            raise NotReadable(path=self.path, why="its header cannot be parsed or names a column twice")
        self.header, self._header_end = tuple(cells), end

    def _object(self, cells: list[str] | Unreadable) -> dict[str, str] | Unreadable:
        if isinstance(cells, Unreadable):
            return cells
        if len(cells) != len(self.header):
            return Unreadable(f"the row has {len(cells)} cells, the header {len(self.header)}", str(cells))
        return dict(zip(self.header, cells, strict=True))

    def record(self, index: int) -> Any:
        cells, _, _ = next(self._lines(to_text(self.raw(index)), 0))
        value = self._object(cells)
        return to_text(self.raw(index)) if isinstance(value, Unreadable) else value

    def chunks(self, indices: Sequence[int]) -> Iterator[bytes]:
        yield self.data[: self._header_end]
        yield from super().chunks(indices)


def parse(text: str) -> Any:
    """Parse one JSON value. Returns Unreadable instead of raising, so that the other records are still read."""
    try:
        return _DECODER.decode(text.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        return Unreadable(f"it is not JSON ({error})", text)


def to_text(data: bytes) -> str:
    """Decode UTF-8. Invalid bytes become lone surrogates: `BadText` reports them, `to_bytes` restores them."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _integer(digits: str) -> int | str:
    """Return a number with thousands of digits as text, because `int` raises an error for it."""
    return int(digits) if len(digits) <= 4000 else digits


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


_DECODER = json.JSONDecoder(parse_int=_integer)
