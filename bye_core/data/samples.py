"""Converts records to samples and faults.

Every record becomes a sample or a fault; no content of a record stops the reading.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bye_core.data import faults as fault_kinds
from bye_core.data.faults import LONGEST_QUOTE, MalformedRecord, make_fault, value_type
from bye_core.data.formats import Reader
from bye_core.data.formats.base import Layout, ParsedRecord, is_missing
from bye_core.data.formats.messages import NUMBERED_MARKER
from bye_core.data.images import EMBEDDED_PREFIX
from bye_core.data.paths import RootFolder
from bye_core.data.sources import Unreadable
from bye_core.errors import DataError, printable
from bye_core.records import Fault, Sample, Turn

QUESTION_UNUSED = "The question of --question is not used, because the records have questions of their own."
_BAD_CHARACTER = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Records:
    """The records of a data set: usable samples, samples without an image, and faults, each in file order.

    Every record is either a sample or has one fatal fault. A record in `text_only` also has the fault NoImage.
    notes  what the user should know about the reading of the records
    """

    samples: tuple[Sample, ...]
    text_only: tuple[Sample, ...]
    faults: tuple[Fault, ...]
    size: int
    notes: tuple[str, ...] = ()


def read_samples(rows: Iterable[Any], reader: Reader, root: Path, strict_ids: bool = False) -> Records:
    """Read all rows as records. With `strict_ids`, a record with the id of an earlier record has a fault."""
    folder, ids, notes = RootFolder(root), _Ids(strict_ids), dict[str, None]()
    contents: list[tuple[Sample | None, list[DataError]]] = []
    for index, row in enumerate(rows):
        record, errors = None, ids.errors(row, reader.layout, index)
        try:
            record = _parse(row, reader)
            notes.update(dict.fromkeys(record.notes))
            errors += _record_errors(record, folder)
        except DataError as error:
            errors.append(error)
        contents.append((_unnamed_sample(record, index) if record else None, errors))
    names = ids.names()
    samples, text_only, faults = [], [], []
    for index, (unnamed, errors) in enumerate(contents):
        sample = replace(unnamed, id=names[index]) if unnamed else None
        if errors:
            faults.append(make_fault(names[index], index, *errors))
        if sample and not errors:
            samples.append(sample)
        if sample and [error.kind for error in errors] == ["NoImage"] and not _has_marker(sample.turns):
            text_only.append(sample)
    if (question := reader.layout.question) and samples and all(sample.question != question for sample in samples):
        notes[QUESTION_UNUSED] = None
    return Records(tuple(samples), tuple(text_only), tuple(faults), len(contents), (*notes, *ids.notes()))


class _Ids:
    """Collects the ids of all records, then gives every record a name of its own; 1 and "1" are the same id."""

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._ids: list[str] = []  # by record; "" if it has none
        self._first: dict[str, int] = {}

    def errors(self, row: Any, layout: Layout, index: int) -> list[DataError]:
        """Remember the id of record `index`, and return what is wrong with it. A bad id is replaced by a made id."""
        id, errors = self._read(row, layout)
        if self._strict and id in self._first:
            errors.append(fault_kinds.DuplicateId(index=index, first=self._first[id]))
        if id:
            self._first.setdefault(id, index)
        self._ids.append(id)
        return errors

    def _read(self, row: Any, layout: Layout) -> tuple[str, list[DataError]]:
        columns = [column for column in ("id", "question_id") if column in layout.columns]
        value = layout.get(row, *columns) if isinstance(row, Mapping) else None
        if is_missing(value):
            return "", []
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return "", [MalformedRecord(what=f"its id is {value_type(value)}, not text or a number")]
        if _BAD_CHARACTER.search(str(value)):
            return "", [fault_kinds.BadText(where="id", text=value)]
        return str(value), []

    def names(self) -> list[str]:
        """Return a name for every record: its id; `id#2`, `id#3` ... for records with the id of an earlier record.

        With strict ids, such a record is refused and keeps the id. No made name is the id of another record.
        """
        used, counts, names = set(self._first), Counter[str](), []
        for index, id in enumerate(self._ids):
            if not id:
                id = _unused(f"record-{index:06d}", used)
            elif not self._strict and index != self._first[id]:
                counts[id] += 1
                while f"{id}#{counts[id] + 1}" in used:
                    counts[id] += 1
                id = f"{id}#{counts[id] + 1}"
            used.add(id)
            names.append(id)
        return names

    def notes(self) -> Iterator[str]:
        repeated = sum(bool(id) for id in self._ids) - len(self._first)
        if repeated and not self._strict:
            id = printable(next(id for k, id in enumerate(self._ids) if id and self._first[id] != k), LONGEST_QUOTE)
            yield (
                f"{repeated:,} {'record repeats' if repeated == 1 else 'records repeat'} the id of an earlier record; "
                f"here they are named by number, for example {id}#2. An export keeps the ids. "
                "Use --strict-ids to refuse such records."
            )


def _unused(id: str, used: set[str]) -> str:
    while id in used:
        id += "-b"
    return id


def _parse(row: Any, reader: Reader) -> ParsedRecord:
    if isinstance(row, Unreadable):
        raise MalformedRecord(what=row.why)
    if not isinstance(row, Mapping):
        raise MalformedRecord(what=f"it is {value_type(row)}, not an object")
    return reader.read(row)


def _unnamed_sample(record: ParsedRecord, index: int) -> Sample:
    """Return the sample of a record without its id. Embedded images get names, so that their data can be freed."""
    names = [
        image if isinstance(image, str) else f"{EMBEDDED_PREFIX}{index:06d}/{k}"
        for k, image in enumerate(record.images)
    ]
    return Sample("", index, record.turns, tuple(names))


def _record_errors(record: ParsedRecord, folder: RootFolder) -> Iterator[DataError]:
    sample = Sample("", 0, record.turns, tuple(image for image in record.images if isinstance(image, str)))
    yield from _conversation_errors(sample, len(record.images))
    yield from _text_errors(sample)
    yield from _image_errors(sample, folder)


def _conversation_errors(sample: Sample, images: int) -> Iterator[DataError]:
    roles = [turn.role for turn in sample.turns]
    if not sample.question.strip():
        yield fault_kinds.EmptyQuestion()
    if "assistant" not in roles:
        yield fault_kinds.NoAnswer()
    elif not sample.answer.strip():
        yield fault_kinds.EmptyAnswer()
    if "user" in roles and "assistant" in roles and roles.index("assistant") < roles.index("user"):
        yield fault_kinds.TurnOrder()
    yield from _marker_errors(sample.turns, images)


def _marker_errors(turns: tuple[Turn, ...], images: int) -> Iterator[DataError]:
    markers = {part for turn in turns for part in turn.parts if isinstance(part, int)}
    wrong = markers - set(range(images))
    for turn in turns:
        if turn.role != "user" and any(isinstance(part, int) for part in turn.parts):
            yield fault_kinds.ImageInAnswer(role=turn.role)
            break
    if not images:
        yield fault_kinds.NoImage()
    elif not markers:
        yield fault_kinds.MissingMarker(images=images)
    elif wrong and len(markers) <= images:
        yield fault_kinds.MarkerMismatch(markers=f"a marker of image number {min(wrong) + 1}", images=images)
    elif markers != set(range(images)):
        yield fault_kinds.MarkerMismatch(markers=f"markers for {len(markers)} image(s)", images=images)


def _has_marker(turns: tuple[Turn, ...]) -> bool:
    numbered = any(turn.role == "user" and NUMBERED_MARKER.search(turn.text) for turn in turns)
    return numbered or any(isinstance(part, int) for turn in turns for part in turn.parts)


def _text_errors(sample: Sample) -> Iterator[DataError]:
    texts = [(f"{turn.role} message", turn.text) for turn in sample.turns]
    texts += [("image path", name) for name in sample.images]
    for where, text in texts:
        if match := _BAD_CHARACTER.search(text):
            yield fault_kinds.BadText(where=where, text=text[max(0, match.start() - 20) : match.end() + 20])


def _image_errors(sample: Sample, folder: RootFolder) -> Iterator[DataError]:
    for image in dict.fromkeys(sample.images):
        if not _BAD_CHARACTER.search(image):
            try:
                folder.resolve(image)
            except DataError as error:
                yield error
