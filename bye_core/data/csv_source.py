"""Reads and writes the records of a CSV table."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bye_core.data.images import MAX_BYTES
from bye_core.data.json_text import to_bytes, to_text
from bye_core.data.renaming import Renaming, rename_in_row
from bye_core.data.sources import TextSource, Unreadable
from bye_core.data.text_files import NotReadable

LONGEST_CELL = MAX_BYTES * 3 // 2  # characters of an image as base64 text; the module's own limit is 131,072
MOST_CELLS = 100_000  # of one line; each takes 8 bytes of memory and more (ours)
UNUSUAL_BREAKS = 100  # line breaks in one cell; few texts have as many (ours)
_NAMED_DELIMITER = re.compile(r"sep=([,;|\t])[\"\r]*")  # a first line that Excel writes
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
csv.field_size_limit(LONGEST_CELL)


class CsvSource(TextSource):
    """A table with a header row; the delimiter is a comma, a semicolon, a tab or a bar."""

    header: tuple[str, ...] = ()
    _header_end = 0  # bytes
    _delimiter = ","
    _cut = False  # whether the last line has too many cells

    def rows(self) -> Iterator[Any]:
        text = to_text(self.data[:])
        self.notes = ()
        if not text.isascii():
            self.note_bad_bytes(text)
        first, end = _first_line(text, 0)
        named = _NAMED_DELIMITER.fullmatch(first)
        header = _first_line(text, end)[0] if named else first
        self._delimiter = named[1] if named else max(",;\t|", key=header.count)
        spans, self._header_end = array("q"), 0
        for cells, start, end in self._lines(text, 0):
            if cells == [] or (named and start == 0):
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
            for match in _LINE.finditer(text):  # io.StringIO would copy the text
                line = match.group()
                consumed += len(line) if line.isascii() else len(to_bytes(line))
                self._cut = line.count(self._delimiter) > MOST_CELLS
                yield line[:MOST_CELLS] if self._cut else line

        reader = csv.reader(counted(), delimiter=self._delimiter)
        while True:
            start = consumed
            try:
                cells: list[str] | Unreadable = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells = Unreadable(str(error), to_text(self.part(start, consumed)))
            if self._cut:
                cells = Unreadable(f"the row has more than {MOST_CELLS:,} cells")
            yield cells, start, consumed

    def _read_header(self, cells: list[str] | Unreadable, end: int) -> None:
        names = () if isinstance(cells, Unreadable) else tuple(cell.strip() for cell in cells)
        if not names or len(set(names)) < len(names):
            raise NotReadable(path=self.path, why="its header cannot be parsed or names a column twice")
        self.header, self._header_end = names, end

    def _object(self, cells: list[str] | Unreadable) -> dict[str, str] | Unreadable:
        if isinstance(cells, Unreadable):
            return cells
        if len(cells) != len(self.header):
            breaks = max((cell.count("\n") for cell in cells), default=0)
            why = f"the row has {len(cells)} cells, the header {len(self.header)}"
            if breaks >= UNUSUAL_BREAKS:
                why += f", and one cell goes on for {breaks + 1:,} lines: a quote at its end may be missing"
            return Unreadable(why)
        return dict(zip(self.header, cells, strict=True))

    def parse(self, raw: str) -> Any:
        cells, _, _ = next(self._lines(raw, 0))
        value = self._object(cells)
        return raw if isinstance(value, Unreadable) else value

    def renamed(self, index: int, renaming: Renaming | None) -> bytes:
        if renaming is None:
            return self.raw(index)
        return to_bytes(rename_in_row(to_text(self.raw(index)), self._delimiter, renaming, self.parse))

    def chunks(self, indices: Sequence[int], renamings: Mapping[int, Renaming]) -> Iterator[bytes]:
        yield self.part(0, self._header_end)
        yield from super().chunks(indices, renamings)


def _first_line(text: str, start: int) -> tuple[str, int]:
    """Return the line that begins at `start`, and where the next begins; the rest is not copied."""
    end = text.find("\n", start)
    return (text[start:], len(text)) if end < 0 else (text[start:end], end + 1)
