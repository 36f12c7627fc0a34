"""Reads and writes the records of a JSON file, in any layout of `json_layouts`."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bye_core.data import json_layouts, json_text
from bye_core.data.bounds import check_json
from bye_core.data.json_errors import NotJson
from bye_core.data.json_stream import NotStreamed, stream_records
from bye_core.data.json_text import to_bytes, to_text
from bye_core.data.renaming import Renaming
from bye_core.data.sources import (
    NoSuchSplit,
    SeveralSplits,
    TextSource,
    Unreadable,
    parse,
    unread_note,
)
from bye_core.data.text_files import WrongContent
from bye_core.files import StoredBytes

AT_ONCE = 10_000  # records that are copied at once


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
        self._streamed = False  # whether the records were read part by part
        self.chosen = ""  # name of the list of records inside an object
        self._files: dict[str, str] = {}  # names of image files by the ids of the images
        self._others: list[tuple[int, int]] = []  # start and end of the other lists, in bytes

    def rows(self) -> Iterator[Any]:
        check_json(self.path, self.data)
        self.notes = ()
        done = 0
        if isinstance(self.data, StoredBytes):
            spans = array("q")
            try:
                self._kind, records = stream_records(self.data, self._has_lines)
                for value, start, end in records:
                    spans.extend((start, end))
                    text = to_text(self.part(start, end)) if isinstance(value, NotJson) else ""
                    yield Unreadable(f"it is not JSON ({value})", text) if isinstance(value, NotJson) else value
                    done += 1
                self.spans, self._streamed = spans, True
                return
            except NotStreamed:
                pass  # the whole text is read, which also says where an error is
        yield from itertools.islice(self._rows_of(to_text(self.data[:])), done, None)

    def index_state(self) -> tuple[dict[str, Any], np.ndarray] | None:
        spans = np.array(self.spans, np.int64)
        return ({"kind": self._kind}, spans) if self._streamed else None

    def restore_index(self, state: dict[str, Any], spans: np.ndarray) -> None:
        self._kind, self.spans = state["kind"], array("q", spans.tobytes())

    def _rows_of(self, text: str) -> Iterator[Any]:
        ascii_only = text.isascii()
        spans, offset, done = array("q"), 0, 0
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
        before = None
        for first, last in consecutive(indices, renamings):
            if before is not None:  # copy the gap before this record
                yield self.part(spans[2 * first - 1], spans[2 * first])
            same = first < last or first not in renamings
            yield self.part(spans[2 * first], spans[2 * last + 1]) if same else self.renamed(first, renamings[first])
            before = last
        yield self._around(spans[-1], len(self.data))

    def _around(self, start: int, end: int) -> bytes:
        """Return the text before or after the records, without the content of lists that were not read."""
        parts = []
        for first, last in sorted(self._others):
            if start <= first and last <= end:
                parts += [self.part(start, first), b"[]"]
                start = last
        return b"".join([*parts, self.part(start, end)])


def consecutive(indices: Sequence[int], apart: Container[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of each run of at most AT_ONCE consecutive indices; those in `apart` stand alone."""
    first: int | None = None
    last: int | None = None
    for index in indices:
        if first is None or last is None:
            first = index
        elif index != last + 1 or index - first == AT_ONCE or last in apart or index in apart:
            yield first, last
            first = index
        last = index
    if first is not None and last is not None:
        yield first, last
