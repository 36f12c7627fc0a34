"""Converts records to samples and faults.

Every record becomes a sample or a fault; no content of a record stops the reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core.data import faults as fault_kinds
from bye_core.data.faults import MalformedRecord, make_fault
from bye_core.data.formats.base import Format, Layout, ParsedRecord
from bye_core.data.images import EMBEDDED_PREFIX
from bye_core.data.paths import RootFolder
from bye_core.data.sources import Unreadable
from bye_core.errors import DataError
from bye_core.records import Fault, Sample, Turn

_BAD_CHARACTER = re.compile(r"[\x00\ud800-\udfff]")


def read_samples(
    rows: Iterable[Any], form: Format, layout: Layout, root: Path
) -> tuple[tuple[Sample, ...], tuple[Fault, ...], int]:
    """Read all rows as records of a format. Return (usable samples, faults, number of rows)."""
    folder, ids = RootFolder(root), _Ids()
    samples: list[Sample] = []
    faults: list[Fault] = []
    index = -1
    for index, row in enumerate(rows):
        id, errors = ids.assign(row, layout, index)
        try:
            record = _parse(row, form, layout)
            sample = Sample(id, index, record.turns, _image_names(record, index))
            errors += [*_conversation_errors(sample), *_text_errors(sample), *_image_errors(record, folder)]
        except DataError as error:
            errors.append(error)
        faults += [make_fault(id, index, error) for error in errors]
        if not errors:
            samples.append(sample)
    return tuple(samples), tuple(faults), index + 1


class _Ids:
    """Assigns ids to records and remembers which record has which id; 1 and "1" are the same id."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    def assign(self, row: Any, layout: Layout, index: int) -> tuple[str, list[DataError]]:
        """Return (id of the record, errors of its id). A missing or bad id is replaced by an id made from the index."""
        columns = [column for column in ("id", "question_id") if column in layout.columns]
        value = layout.get(row, *columns) if isinstance(row, Mapping) else None
        if value is None or value == "":
            return self._made(index), []
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return self._made(index), [MalformedRecord(what=f"its id is of type {type(value).__name__}")]
        id = str(value)
        if _BAD_CHARACTER.search(id):
            return self._made(index), [fault_kinds.BadText(where="id", text=id)]
        if id in self._first:
            return id, [fault_kinds.DuplicateId(index=index, first=self._first[id])]
        self._first[id] = index
        return id, []

    def _made(self, index: int) -> str:
        id = f"record-{index:06d}"
        while id in self._first:  # another record has this id in the file
            id += "-b"
        self._first[id] = index
        return id


def _parse(row: Any, form: Format, layout: Layout) -> ParsedRecord:
    if isinstance(row, Unreadable):
        raise MalformedRecord(what=row.why)
    if not isinstance(row, Mapping):
        raise MalformedRecord(what=f"it is of type {type(row).__name__}, not an object")
    return form.read(row, layout)


def _image_names(record: ParsedRecord, index: int) -> tuple[str, ...]:
    return tuple(
        image if isinstance(image, str) else f"{EMBEDDED_PREFIX}{index:06d}/{k}"
        for k, image in enumerate(record.images)
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


def _marker_errors(turns: tuple[Turn, ...], images: int) -> Iterator[DataError]:
    markers = {part for turn in turns for part in turn.parts if isinstance(part, int)}
    if not images:
        yield fault_kinds.NoImage()
    elif not markers:
        yield fault_kinds.MissingMarker(images=images)
    elif markers != set(range(images)):
        yield fault_kinds.MarkerMismatch(markers=len(markers), images=images)


def _text_errors(sample: Sample) -> Iterator[DataError]:
    texts = [(f"{turn.role} message", turn.text) for turn in sample.turns]
    texts += [("image path", name) for name in sample.images]
    for where, text in texts:
        if match := _BAD_CHARACTER.search(text):
            yield fault_kinds.BadText(where=where, text=text[max(0, match.start() - 20) : match.end() + 20])


def _image_errors(record: ParsedRecord, folder: RootFolder) -> Iterator[DataError]:
    for image in record.images:
        if isinstance(image, str) and not _BAD_CHARACTER.search(image):
            try:
                folder.resolve(image)
            except DataError as error:
                yield error
