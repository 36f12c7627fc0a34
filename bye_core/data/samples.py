"""Converts records to samples and faults.

Every record becomes a sample or a fault; no content of a record stops the reading.
"""

from __future__ import annotations

import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bye_core.data import faults as fault_kinds
from bye_core.data.bounds import LARGEST_TEXT, Budget
from bye_core.data.faults import LONGEST_QUOTE, MalformedRecord, named_fault, unnamed_fault, value_type
from bye_core.data.formats import Reader
from bye_core.data.formats.base import Layout, ParsedRecord, is_missing
from bye_core.data.formats.contents import NUMBERED_MARKER
from bye_core.data.images import EMBEDDED_PREFIX
from bye_core.data.paths import RootFolder
from bye_core.data.sources import Unreadable
from bye_core.errors import DataError, printable
from bye_core.records import Fault, Sample, Turn
from bye_core.sample_file import Content, ContentStore

QUESTION_UNUSED = "The question of --question is not used, because the records have questions of their own."
REMEMBERED_PATHS = 2**16
MOST_IN_MEMORY = 64 * 2**20  # bytes of samples above which they are in a temporary file (ours)
_BAD_CHARACTER = re.compile(r"[\x00\ud800-\udfff]")


class NoRoom(fault_kinds.Refusal):
    problem = "The samples of the data set cannot be written to the temporary folder {folder}: {why}."
    remedy = "Free disk space there, or name a folder with more room in the environment variable TMPDIR."


@dataclass(frozen=True)
class Records:
    """The records of a data set: usable samples, samples without an image, and faults, each in file order.

    Every record is either a sample or has one fatal fault. A record in `text_only` also has the fault NoImage.
    notes  what the user should know about the reading of the records
    """

    samples: Sequence[Sample]
    text_only: Sequence[Sample]
    faults: tuple[Fault, ...]
    size: int
    notes: tuple[str, ...] = ()


def read_samples(
    rows: Iterable[Any], reader: Reader, root: Path, strict_ids: bool = False, budget: Budget | None = None
) -> Records:
    """Read all rows as records. With `strict_ids`, a record with the id of an earlier record has a fault.

    Raises: TooLargeDecoded if the records need more memory than the `budget` has.
    """
    budget = budget or Budget("", 0)
    ids, paths, notes = _Ids(reader.layout, strict_ids), _Paths(root), dict[str, None]()
    contents, ready, text_only, refused = ContentStore(MOST_IN_MEMORY), array("q"), array("q"), dict[int, Fault]()
    asked = not reader.layout.question
    for index, row in enumerate(rows):
        content, errors = None, ids.errors(row, index)
        try:
            record = _parse(row, reader)
            content = record.turns, _image_names(record, index)
            errors += _record_errors(record, paths)
            for note in record.notes:
                notes[note] = None
        except DataError as error:
            errors.append(error)
        size = budget.spend(_texts(content))
        try:
            contents.append(content, size)
        except OSError as error:
            raise NoRoom(folder=tempfile.gettempdir(), why=error.strerror or error) from error
        if errors:
            fault = refused[index] = unnamed_fault(index, *errors)
            if content and fault.kinds == ("NoImage",) and not _has_marker(content[0]):
                text_only.append(index)
        elif content:
            ready.append(index)
            asked = asked or _question(content[0]) == reader.layout.question
    if ready and not asked:
        notes[QUESTION_UNUSED] = None
    names = ids.names()
    return Records(
        samples=contents.samples(names, ready),
        text_only=contents.samples(names, text_only),
        faults=tuple(named_fault(fault, names[index]) for index, fault in refused.items()),
        size=len(names),
        notes=(*notes, *ids.notes()),
    )


def _question(turns: Iterable[Turn]) -> str:
    return next((turn.text for turn in turns if turn.role == "user"), "")


class _Ids:
    """Collects the ids of all records, then gives every record a name of its own; 1 and "1" are the same id."""

    def __init__(self, layout: Layout, strict: bool) -> None:
        self._layout, self._strict = layout, strict
        self._columns = [column for column in ("id", "question_id") if column in layout.columns]
        self._ids: list[str] = []  # by record; "" if it has none
        self._first: dict[str, int] = {}

    def errors(self, row: Any, index: int) -> list[DataError]:
        """Remember the id of record `index`, and return what is wrong with it. A bad id is replaced by a made id."""
        id, errors = self._read(row)
        if self._strict and id in self._first:
            errors.append(fault_kinds.DuplicateId(number=f"{index + 1:,}", first=f"{self._first[id] + 1:,}"))
        if id:
            self._first.setdefault(id, index)
        self._ids.append(id)
        return errors

    def _read(self, row: Any) -> tuple[str, list[DataError]]:
        value = self._layout.get(row, *self._columns) if isinstance(row, Mapping) else None
        if is_missing(value):
            return "", []
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return "", [MalformedRecord(what=f"its id is {value_type(value)}, not text or a number")]
        id = str(value)
        return ("", [fault_kinds.BadText(where="id", text=id)]) if _has_bad_character(id) else (id, [])

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


def _image_names(record: ParsedRecord, index: int) -> tuple[str, ...]:
    """Return the paths of a record's images. Embedded images get names, so that their data can be freed."""
    return tuple(
        image if isinstance(image, str) else f"{EMBEDDED_PREFIX}{index:06d}/{k}"
        for k, image in enumerate(record.images)
    )


def _record_errors(record: ParsedRecord, paths: _Paths) -> Iterator[DataError]:
    images = [image for image in record.images if isinstance(image, str)]
    yield from _conversation_errors(record.turns)
    yield from _marker_errors(record.turns, len(record.images))
    yield from _text_errors(record.turns, images)
    for image in dict.fromkeys(images):
        if not _has_bad_character(image) and (error := paths.error(image)):
            yield error


def _conversation_errors(turns: tuple[Turn, ...]) -> Iterator[DataError]:
    question = next((turn for turn in turns if turn.role == "user"), None)
    answer = next((turn for turn in turns if turn.role == "assistant"), None)
    if question is None or not question.text.strip():
        yield fault_kinds.EmptyQuestion()
    if answer is None:
        yield fault_kinds.NoAnswer()
    elif not answer.text.strip():
        yield fault_kinds.EmptyAnswer()
    if question and answer and turns.index(answer) < turns.index(question):
        yield fault_kinds.TurnOrder()


def _marker_errors(turns: tuple[Turn, ...], images: int) -> Iterator[DataError]:
    markers: set[int] = set()
    roles: dict[str, None] = {}
    for turn in turns:
        for part in turn.parts:
            if isinstance(part, int):
                markers.add(part)
                roles[turn.role] = None
    if role := next((role for role in roles if role != "user"), None):
        yield fault_kinds.ImageInAnswer(role=role)
    if not images:
        yield fault_kinds.NoImage()
    elif not markers:
        yield fault_kinds.MissingMarker(images=images)
    elif len(markers) > images or not all(number in markers for number in range(images)):
        wrong = min((number for number in markers if not 0 <= number < images), default=None)
        if wrong is not None and len(markers) <= images:
            yield fault_kinds.MarkerMismatch(markers=f"a marker of image number {wrong + 1}", images=images)
        else:
            yield fault_kinds.MarkerMismatch(markers=f"markers for {len(markers)} image(s)", images=images)


def _texts(content: Content | None) -> Iterator[str]:
    """Yield the texts of a record that stay in memory."""
    if content:
        yield from content[1]
        yield from (part for turn in content[0] for part in turn.parts if isinstance(part, str))


def _has_marker(turns: tuple[Turn, ...]) -> bool:
    numbered = any(turn.role == "user" and NUMBERED_MARKER.search(turn.text) for turn in turns)
    return numbered or any(isinstance(part, int) for turn in turns for part in turn.parts)


def _has_bad_character(text: str) -> bool:
    return "\0" in text if text.isascii() else bool(_BAD_CHARACTER.search(text))  # isascii is much faster


def _text_errors(turns: tuple[Turn, ...], images: Iterable[str]) -> Iterator[DataError]:
    texts = [
        (f"{turn.role} message", part)
        for turn in turns
        for part in turn.parts
        if isinstance(part, str) and _has_bad_character(part)
    ]
    texts += [("image path", name) for name in images if _has_bad_character(name)]
    for turn in turns:
        if any(isinstance(part, str) and len(part) > LARGEST_TEXT for part in turn.parts):
            yield fault_kinds.HugeText(role=turn.role, most=LARGEST_TEXT)
    for where, text in texts:
        if match := _BAD_CHARACTER.search(text):
            yield fault_kinds.BadText(where=where, text=text[max(0, match.start() - 20) : match.end() + 20])


class _Paths:
    """Checks the image paths of records. Remembers the last paths, because records often share an image."""

    def __init__(self, root: Path) -> None:
        self._folder = RootFolder(root)
        self.error = lru_cache(maxsize=REMEMBERED_PATHS)(self._error)

    def _error(self, path: str) -> DataError | None:
        """Return why there is no such file in the data set's folder; None if there is one."""
        try:
            self._folder.check(path)
        except DataError as error:
            return error.with_traceback(None)
        return None
