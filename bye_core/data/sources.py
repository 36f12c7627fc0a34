"""Annotation files of text: JSON, JSONL and CSV, each record with its place in the file.

A record is written again by copying its bytes: numbers, escapes, unknown keys and layout stay as they were.
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
_BLANK = re.compile(r"[ \t\r\n]*")


class NotReadable(Refusal):
    problem = "{path} cannot be read: {why}."
    remedy = "Check that the file is complete and is what its name says."


@dataclass(frozen=True)
class Unreadable:
    """Stands for a record that could not even be parsed; `text` is what stands in its place."""

    why: str
    text: str = ""


class Source(Protocol):
    """A file of records. `rows` has to be run through once before the rest is asked for."""

    path: Path

    def rows(self) -> Iterator[Any]:
        """Every record in turn, as Unreadable if need be; pictures inside tables as EMBEDDED_IMAGE."""

    def record(self, index: int) -> Any:
        """One record, untouched."""

    def digest(self) -> str:
        """SHA-256 over the content."""

    def write(self, indices: Sequence[int], folder: Path) -> list[Path]:
        """Exactly these records as a file of the same kind; returns the files written."""


class TextSource:
    """What the three kinds of text file share: the bytes, and where in them each record stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise NotReadable(path=path, why=error.strerror or error) from error
        self.spans = array("q")  # start and end of each record, in bytes

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
    """One JSON array. What stands before, between and after its records is kept as well."""

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
            position = _skip(text, len(BOM) if text.startswith(BOM) else 0)
            if text[position : position + 1] != "[":
                raise ValueError("it is not a list of records")
            position = _skip(text, position + 1)
            more = text[position : position + 1] != "]"
            while more:
                value, end = _DECODER.raw_decode(text, position)
                yield value, position, end
                position = _skip(text, end)
                more = text[position : position + 1] == ","
                if not more and text[position : position + 1] != "]":
                    raise ValueError(f"no comma or bracket at character {position}")
                position = _skip(text, position + 1) if more else position
            if _skip(text, position + 1) != len(text):
                raise ValueError(f"there is more after the end of the list, at character {position + 1}")
        except (ValueError, RecursionError) as error:
            raise NotReadable(path=self.path, why=error) from error

    def chunks(self, indices: Sequence[int]) -> Iterator[bytes]:
        spans = self.spans
        yield self.data[: spans[0]]
        for place, index in enumerate(indices):
            if place:  # the gap that stood before this record; the first one has none
                yield self.data[spans[2 * index - 1] : spans[2 * index]]
            yield self.raw(index)
        yield self.data[spans[-1] :]


class JsonlSource(TextSource):
    """One JSON object a line. A line that is no JSON spoils itself only."""

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
    """A table with a header; commas, semicolons or tabs."""

    header: tuple[str, ...] = ()
    _head = 0
    _delimiter = ","

    def rows(self) -> Iterator[Any]:
        text = to_text(self.data)
        skipped = len(to_bytes(BOM)) if text.startswith(BOM) else 0
        first = text.split("\n", 1)[0]
        self._delimiter = max(",;\t", key=first.count)
        spans, self._head = array("q"), 0
        for cells, start, end in self._lines(text.removeprefix(BOM), skipped):
            if cells == []:
                continue
            if not self._head:
                self._read_header(cells, end)
                continue
            spans.extend((start, end))
            yield self._object(cells)
        self.spans = spans

    def _lines(self, text: str, consumed: int) -> Iterator[tuple[list[str] | Unreadable, int, int]]:
        """Each row with the bytes it spans: the parser takes no line more than the row needs."""

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
            raise NotReadable(path=self.path, why="its header is broken or names a column twice")
        self.header, self._head = tuple(cells), end

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
        yield self.data[: self._head]
        yield from super().chunks(indices)


def parse(text: str) -> Any:
    """One JSON value, or Unreadable: a record must never end the reading of the others."""
    try:
        return _DECODER.decode(text.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        return Unreadable(f"it is not JSON ({error})", text)


def to_text(data: bytes) -> str:
    """Bytes that are not UTF-8 become lone surrogates, are found as such, and turn back into the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _integer(digits: str) -> int | str:
    """Python refuses numbers of thousands of digits with an error; as text they are refused where they matter."""
    return int(digits) if len(digits) <= 4000 else digits


def _skip(text: str, position: int) -> int:
    return _BLANK.match(text, position).end()


_DECODER = json.JSONDecoder(parse_int=_integer)
