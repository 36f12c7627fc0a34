"""The registry of data set formats. A new format is one module beside this file and one entry in MODULES."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import Any

from bye_core.data.faults import Refusal
from bye_core.data.formats.base import IMAGE_KEYS, Format, Layout, ParsedRecord, is_missing
from bye_core.data.formats.cells import reject_media

# The registry: one module for each format, in the order in which the formats are listed.
MODULES = (
    "llava",
    "qwen_vl",
    "sharegpt",
    "chat",
    "imagefolder",
    "vqa",
    "alpaca",
    "swift",
    "prompt_completion",
    "cauldron",
    "captions",
)
_FORMATS: tuple[Format, ...] = tuple(import_module(f"{__name__}.{name}").FORMAT for name in MODULES)
FORMATS: dict[str, Format] = {form.name: form for form in _FORMATS}
IMAGE_NUMBERS = ("image_id", "imageId", "img_id")  # keys that name an image in another file, without its path
# Keys of the rejected answers of preference pairs, and the note on sets that have them.
REJECTED = ("rejected", "rejected_response")
PREFERENCE = "The records are preference pairs: only the chosen answers are read, not the rejected ones."
_BY_PRIORITY = sorted(FORMATS.values(), key=lambda form: -form.priority)


class UnknownFormat(Refusal):
    problem = "The format of {path} cannot be detected; its records have the keys: {seen}."
    remedy = (
        "Give the format with --format, one of {valid}; for a table, also name its columns, for example "
        "--format vqa --columns image=my_image question=my_question answer=my_answer, "
        "or --format captions --columns image=my_image caption=my_text.{hint}"
    )


class MissingColumn(Refusal):
    problem = "{path} read as {format} lacks the column(s) {missing}; it has: {seen}."
    remedy = (
        "Name your own columns, for example with --columns {example}. "
        "If the records have no question, give them one with --question.{hint}"
    )


class NoSuchFormat(Refusal):
    problem = "There is no format called {format}."
    remedy = "Use one of {valid}."


class NoSuchColumn(Refusal):
    problem = "The format {format} has no column {column} that can be renamed."
    remedy = "Rename one of its columns: {valid}."


def format_title(name: str) -> str:
    """Return the title of a format for pages, or `name` itself if no such format exists."""
    return FORMATS[name].title if name in FORMATS else name


def detect_format(path: object, records: list[Any], name: str | None, layout: Layout) -> Format:
    """Return the format called `name`; without a name, return the format of most of the first `records`.

    Raises: NoSuchFormat if there is no format called `name`; UnknownFormat if no format matches; NoSuchColumn if
    `layout` renames a column that the format lacks; MissingColumn if the records lack a required column.
    """
    if name is not None and name not in FORMATS:
        raise NoSuchFormat(format=name, valid=", ".join(FORMATS))
    objects = [record for record in records if isinstance(record, Mapping)]
    keys = dict.fromkeys(str(key) for record in objects for key in record)
    seen = ", ".join(keys) or "none, because no record is an object"
    if name is None:
        form = _most_frequent(objects, layout)
        if form is None:
            raise UnknownFormat(path=path, seen=seen, valid=", ".join(FORMATS), hint=_hint(objects))
    else:
        form = FORMATS[name]
    reader = Reader(form, complete_layout(form, layout))
    if objects and all(reader.format_of(record) is form for record in objects):
        reader.require_columns(path, objects, seen)
    return form


def _most_frequent(records: Sequence[Mapping[str, Any]], layout: Layout) -> Format | None:
    layouts = complete_layouts(layout)
    matches = [next((form for form in layouts if form.matches(record, layouts[form])), None) for record in records]
    best = max(layouts, key=matches.count, default=None)
    return best if best in matches else None


@dataclass(frozen=True)
class Reader:
    """Reads the records of one data set.

    A record that lacks the keys of `form` is read by the format that its own keys have, so that a file may mix formats.
    layout  the complete layout of `form`, see `complete_layout`
    """

    form: Format
    layout: Layout

    def read(self, record: Mapping[str, Any]) -> ParsedRecord:
        """Parse one record. Raises: as `Format.read`."""
        reject_media(record)
        form = self.format_of(record)
        parsed = form.read(record, self.layout if form is self.form else self._layouts[form])
        if isinstance(parsed.id, float) and not math.isfinite(parsed.id):  # a table writes NaN where an id is missing
            parsed = replace(parsed, id=None)
        if any(key in record and _is_answer(record[key]) for key in REJECTED):
            return replace(parsed, notes=(*parsed.notes, PREFERENCE))
        return parsed

    def format_of(self, record: Mapping[str, Any]) -> Format:
        """Return the format by which the record is read."""
        if self.form.accepts(record, self.layout):
            return self.form
        return next((form for form, layout in self._layouts.items() if form.matches(record, layout)), self.form)

    @cached_property
    def _layouts(self) -> dict[Format, Layout]:
        """The complete layouts of the formats that have all of the renamed columns, by priority."""
        usual, columns = self.form.columns, self.layout.columns
        renamed = {name: key for name, key in columns.items() if key != usual.get(name)}
        return complete_layouts(replace(self.layout, columns=renamed))

    def require_columns(self, path: object, records: list[Mapping[str, Any]], seen: str) -> None:
        """Raise MissingColumn if none of the records has a required column of the format."""
        form, layout, missing = self.form, self.layout, []
        for column in form.required:
            keys = [layout.key(record, column, form.usual.get(column, ())) for record in records]
            given = column == "question" and layout.question
            if not given and not any(key in record for key, record in zip(keys, records, strict=True)):
                missing.append(layout.columns[column])
        if missing:
            example = " ".join(f"{column}=my_{column}" for column in form.required if layout.columns[column] in missing)
            facts = {"missing": ", ".join(missing), "seen": seen, "example": example, "hint": _hint(records)}
            raise MissingColumn(path=path, format=form.name, **facts)


def _hint(records: list[Mapping[str, Any]]) -> str:
    """Return further advice for records that name images by number, or that hold messages under an unknown key."""
    keys = dict.fromkeys(str(key) for record in records for key in record)
    talk = next((key for key in keys if any(_holds_messages(record.get(key)) for record in records)), None)
    if talk is not None:
        return f" If {talk} holds the messages, use --format llava --columns messages={talk}."
    number = next((key for key in IMAGE_NUMBERS if key in keys), None)
    if number is not None and keys.keys().isdisjoint(IMAGE_KEYS):
        return f" The records have {number}, but no path of an image: add the key image with the path to each record."
    return ""


def _holds_messages(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(entry, Mapping) and not entry.keys().isdisjoint(("from", "role")) for entry in value
    )


def _is_answer(value: Any) -> bool:
    return isinstance(value, str | list | Mapping) and not is_missing(value)


def complete_layout(form: Format, layout: Layout) -> Layout:
    """Return `layout` with the usual keys added for all columns that it does not rename.

    Raises: NoSuchColumn if it renames a column that the format lacks.
    """
    for column in layout.columns:
        if column not in form.columns:
            raise NoSuchColumn(format=form.name, column=column, valid=", ".join(form.columns))
    return replace(layout, columns={**form.columns, **layout.columns})


def complete_layouts(layout: Layout) -> dict[Format, Layout]:
    """Return the complete layout of every format that has the columns of `layout`, in the order of priority."""
    candidates = (form for form in _BY_PRIORITY if layout.columns.keys() <= form.columns.keys())
    return {form: complete_layout(form, layout) for form in candidates}


def peek(rows: Iterable[Any], count: int) -> tuple[list[Any], Iterable[Any]]:
    """Return the first `count` rows as a list, and an iterable over all rows, including the first."""
    rows = iter(rows)
    head = list(itertools.islice(rows, count))
    return head, itertools.chain(head, rows)
