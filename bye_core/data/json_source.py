"""Reads and writes the records of a JSON file, in any layout of `json_layouts`."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core.data import json_layouts, json_text
from bye_core.data.bounds import check_json
from bye_core.data.json_errors import NotJson
from bye_core.data.renaming import Renaming
from bye_core.data.sources import (
    NoSuchSplit,
    SeveralSplits,
    TextSource,
    Unreadable,
    parse,
    to_bytes,
    to_text,
    unread_note,
)
from bye_core.data.text_files import WrongContent


class JsonSource(TextSource):
    """Records in JSON, in any layout of `json_layouts`. `write` keeps the layout and the text around the records.

    is_record, split, is_complete  see `json_layouts.find_records`
    """

    def __init__(
        self,
        path: Path,
        is_record: Callable[[Any], bool] = bool,
        split: str | None = None,
        is_complete: Callable[[Any], bool] = bool,
    ) -> None:
        super().__init__(path)
        self._is_record, self._split, self._is_complete = is_record, split, is_complete
        self._has_lines = any(suffix in path.name.lower() for suffix in (".jsonl", ".ndjson"))
        self._kind = ""
        self.chosen = ""  # name of the list of records inside an object
        self._files: dict[str, str] = {}  # names of image files by the ids of the images
        self._others: list[tuple[int, int]] = []  # start and end of the other lists, in bytes

    def rows(self) -> Iterator[Any]:
        check_json(self.path, self.data)
        text, ascii_only = to_text(self.data), self.data.isascii()
        spans, offset, done = array("q"), 0, 0
        self.notes = ()
        if not ascii_only:
            self.note_bad_bytes(text)
        for value, start, end in self._found(text):
            if ascii_only:
                spans.extend((start, end))
            else:
                offset += len(to_bytes(text[done:start]))
                spans.append(offset)
                offset, done = offset + len(to_bytes(text[start:end])), end
                spans.append(offset)
            yield Unreadable(f"it is not JSON ({value})", text[start:end]) if isinstance(value, NotJson) else value
        self.spans = spans

    def _found(self, text: str) -> Iterator[json_text.Found]:
        try:
            found = json_layouts.find_records(text, self._is_record, self._split, self._has_lines, self._is_complete)
            self._kind, self.chosen = found.kind, found.chosen
            self._others = [(len(to_bytes(text[:start])), len(to_bytes(text[:end]))) for start, end in found.others]
            self._files = found.files
            if found.unread:
                self.notes += (unread_note(found.chosen, found.unread),)
            yield from json_text.read_records(text, found)
        except json_layouts.SeveralLists as error:
            if error.wanted:
                raise NoSuchSplit(path=self.path, split=error.wanted, found=", ".join(error.names)) from error
            raise SeveralSplits(path=self.path, found=", ".join(error.names)) from error
        except NotJson as error:
            raise WrongContent(path=self.path, why=error, do=error.do) from error

    def parse(self, raw: str) -> Any:
        if self._kind != "by id":
            return json_text.with_file(super().parse(raw), self._files)
        value = parse(f"{{{raw}}}")
        if not isinstance(value, dict):
            return raw
        ((key, entry),) = value.items()
        return json_text.with_id(key, entry)

    def chunks(self, indices: Sequence[int], renamings: Mapping[int, Renaming]) -> Iterator[bytes]:
        spans, lines = self.spans, self._kind in ("lines", "objects")
        if not indices:  # a file without records, as one of several shards may be
            yield b"" if lines and self._has_lines else b"[]\n"
            return
        if lines:
            yield from super().chunks(indices, renamings)
            return
        yield self._around(0, spans[0])
        for position, index in enumerate(indices):
            if position:  # copy the gap before this record
                yield self.data[spans[2 * index - 1] : spans[2 * index]]
            yield self.renamed(index, renamings.get(index))
        yield self._around(spans[-1], len(self.data))

    def _around(self, start: int, end: int) -> bytes:
        """Return the text before or after the records, without the content of lists that were not read."""
        parts = []
        for first, last in sorted(self._others):
            if start <= first and last <= end:
                parts += [self.data[start:first], b"[]"]
                start = last
        return b"".join([*parts, self.data[start:end]])
