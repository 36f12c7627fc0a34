"""Reads annotation files of text (JSON, JSONL, CSV) and remembers the position of each record in the file.

Records are written by copying their bytes: numbers, escapes, unknown keys and white space are unchanged. The parsers of
pyarrow and `datasets` do not report these positions, so this module builds on `json` and `csv`.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bye_core.data import json_text
from bye_core.data.faults import Refusal
from bye_core.data.json_errors import NotJson, place
from bye_core.data.json_text import to_bytes, to_text
from bye_core.data.renaming import NO_RENAMINGS, Renaming, rename_in_json
from bye_core.data.text_files import WrongContent, read_text_file


class SeveralSplits(Refusal):
    problem = "{path} has several splits, and none is called train: {found}."
    remedy = "Choose one of them with --split."


class NoSuchSplit(Refusal):
    problem = "{path} has no split called {split}; it has: {found}."
    remedy = "Give one of these names as --split, or leave --split out."


@dataclass(frozen=True)
class Unreadable:
    """A record that could not be parsed: why, and its text in the file."""

    why: str
    text: str = ""


class Source(Protocol):
    """A file of records. Iterate over `rows` to the end before you call the other methods."""

    path: Path

    @property
    def size(self) -> int:
        """The bytes of its files; those of a compressed text are counted unpacked."""

    @property
    def renames(self) -> bool:
        """Whether `write` can change the paths of images."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the whole file, after `rows` was read."""

    def rows(self) -> Iterator[Any]:
        """Yield every record, with EMBEDDED_IMAGE in place of images inside tables; Unreadable if parsing fails."""

    def record(self, index: int) -> Any:
        """Return one record unchanged."""

    def digest(self) -> str:
        """Return the SHA-256 of the content."""

    def write(
        self, indices: Sequence[int], folder: Path, renamings: Mapping[int, Renaming] = NO_RENAMINGS
    ) -> list[Path]:
        """Write exactly the records `indices`, in ascending order, as files of the same kind; return the written files.

        `renamings` holds new image paths for some of the records. Raises: NotRenamed if they cannot be written.
        """


class TextSource:
    """The base class for text files: stores the text as bytes, and the start and end of each record in them.

    notes  what the user should know about the file, after `rows` was read
    """

    renames = True

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, read_text_file(path)
        self.data = self.file.data
        self.size = len(self.data)
        self.spans = array("q")  # start and end of each record, in bytes, one after the other
        self.notes: tuple[str, ...] = ()

    def digest(self) -> str:
        return self.file.digest

    def raw(self, index: int) -> bytes:
        return self.part(self.spans[2 * index], self.spans[2 * index + 1])

    def part(self, start: int, end: int) -> bytes:
        """Return some bytes of the text. Raises: WrongContent if the file was changed after it was read."""
        try:
            return self.data[start:end]
        except OSError as error:
            do = "Start again: the set is then read again."
            raise WrongContent(path=self.path, why=error.strerror, do=do) from error

    def record(self, index: int) -> Any:
        return self.parse(to_text(self.raw(index)))

    def parse(self, raw: str) -> Any:
        """Return the record with the text `raw`, or the text itself if it is damaged."""
        value = parse(raw)
        return value.text if isinstance(value, Unreadable) else value

    def write(
        self, indices: Sequence[int], folder: Path, renamings: Mapping[int, Renaming] = NO_RENAMINGS
    ) -> list[Path]:
        target = folder / self.path.name
        self.file.write(self.chunks(indices, renamings), target)
        return [target]

    def chunks(self, indices: Sequence[int], renamings: Mapping[int, Renaming]) -> Iterator[bytes]:
        return (self.renamed(index, renamings.get(index)) for index in indices)

    def renamed(self, index: int, renaming: Renaming | None) -> bytes:
        """Return the bytes of a record with new image paths."""
        if renaming is None:
            return self.raw(index)
        return to_bytes(rename_in_json(to_text(self.raw(index)), renaming, self.parse))

    def note_bad_bytes(self, text: str) -> None:
        """Add a note if the file holds a byte that is not UTF-8."""
        if bad := json_text.bad_byte(text):
            where = place(text, bad[0])
            self.notes += (
                f"{self.path.name} is not UTF-8: {where} holds the byte 0x{bad[1]:02X}. Records with such bytes in "
                "their texts are refused. Save the file as UTF-8; it may be Latin-1 or Windows-1252.",
            )


def parse(text: str) -> Any:
    """Parse one JSON value. Returns Unreadable instead of raising, so that the other records are still read."""
    try:
        return json_text.decode(text)
    except NotJson as error:
        return Unreadable(f"it is not JSON ({error})", text)


_UNREAD = re.compile(r"Only the split (.*?) was read, not (.*)\. To read another one")


def unread_note(chosen: str, others: Iterable[str]) -> str:
    """Return the note for a set that has more splits than the one that was read."""
    return f"Only the split {chosen} was read, not {', '.join(others)}. To read another one, name it with --split."


def splits_in_note(note: str) -> tuple[str, ...]:
    """Return the splits that a note of `unread_note` names, the one that was read first; () for another note."""
    match = _UNREAD.match(note)
    return (match[1], *match[2].split(", ")) if match else ()
