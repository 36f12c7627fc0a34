"""Records -> samples and faults. Whatever a record holds, it becomes one or the other and ends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core.data import faults as fault_kinds
from bye_core.data.faults import MalformedRecord, fault
from bye_core.data.formats.base import Format, Layout, ParsedRecord
from bye_core.data.images import EMBEDDED, Folder
from bye_core.data.sources import Unreadable
from bye_core.errors import DataError
from bye_core.records import Fault, Sample, Turn

_BAD = re.compile(r"[\x00\ud800-\udfff]")


def build(
    rows: Iterable[Any], reader: Format, layout: Layout, root: Path
) -> tuple[tuple[Sample, ...], tuple[Fault, ...], int]:
    """All rows read by the format `reader`: the usable samples, the faults, the number of rows."""
    folder, names = Folder(root), _Ids()
    samples: list[Sample] = []
    faults: list[Fault] = []
    index = -1
    for index, row in enumerate(rows):
        id, errors = names.take(row, layout, index)
        try:
            draft = _read(row, reader, layout)
            sample = Sample(id, index, draft.turns, _names(draft, index))
            errors += [*_conversation_errors(sample), *_text_errors(sample), *_picture_errors(sample, draft, folder)]
        except DataError as error:
            errors.append(error)
        faults += [fault(id, index, error) for error in errors]
        if not errors:
            samples.append(sample)
    return tuple(samples), tuple(faults), index + 1


class _Ids:
    """Gives every record an id and remembers who has which; 1 and "1" are the same id."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    def take(self, row: Any, layout: Layout, index: int) -> tuple[str, list[DataError]]:
        """The id, and what is wrong with it. A bad one is replaced by one made of the record's position."""
        columns = [column for column in ("id", "question_id") if column in layout.columns]
        value = layout.get(row, *columns) if isinstance(row, Mapping) else None
        if value is None or value == "":
            return self._made(index), []
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return self._made(index), [MalformedRecord(what=f"its id is a {type(value).__name__}")]
        id = str(value)
        if _BAD.search(id):
            return self._made(index), [fault_kinds.BadText(where="id", text=id)]
        if id in self._first:
            return id, [fault_kinds.DuplicateId(index=index, first=self._first[id])]
        self._first[id] = index
        return id, []

    def _made(self, index: int) -> str:
        id = f"record-{index:06d}"
        while id in self._first:  # taken by a record that names itself so
            id += "-b"
        self._first[id] = index
        return id


def _read(row: Any, reader: Format, layout: Layout) -> ParsedRecord:
    if isinstance(row, Unreadable):
        raise MalformedRecord(what=row.why)
    if not isinstance(row, Mapping):
        raise MalformedRecord(what=f"it is a {type(row).__name__}, not an object")
    return reader.read(row, layout)


def _names(draft: ParsedRecord, index: int) -> tuple[str, ...]:
    return tuple(
        picture if isinstance(picture, str) else f"{EMBEDDED}{index:06d}/{k}" for k, picture in enumerate(draft.images)
    )


def _conversation_errors(sample: Sample) -> Iterator[DataError]:
    roles = [turn.role for turn in sample.turns]
    if not sample.question.strip():
        yield fault_kinds.EmptyQuestion()
    if "assistant" not in roles:
        yield fault_kinds.NoAnswer()
    elif not sample.answer.strip():
        yield fault_kinds.EmptyAnswer()
    if "user" in roles and "assistant" in roles and roles.index("assistant") < roles.index("user"):
        yield fault_kinds.TurnOrder()
    yield from _marker_errors(sample.turns, len(sample.images))


def _marker_errors(turns: tuple[Turn, ...], pictures: int) -> Iterator[DataError]:
    markers = {part for turn in turns for part in turn.parts if isinstance(part, int)}
    if not pictures:
        yield fault_kinds.NoImage()
    elif not markers:
        yield fault_kinds.MissingMarker(pictures=pictures)
    elif markers != set(range(pictures)):
        yield fault_kinds.MarkerMismatch(markers=len(markers), pictures=pictures)


def _text_errors(sample: Sample) -> Iterator[DataError]:
    places = [(f"{turn.role} message", turn.text) for turn in sample.turns]
    places += [("picture path", name) for name in sample.images]
    for where, text in places:
        if match := _BAD.search(text):
            yield fault_kinds.BadText(where=where, text=text[max(0, match.start() - 20) : match.end() + 20])


def _picture_errors(sample: Sample, draft: ParsedRecord, folder: Folder) -> Iterator[DataError]:
    for picture in draft.images:
        if isinstance(picture, str) and not _BAD.search(picture):
            try:
                folder.find(picture)
            except DataError as error:
                yield error
