"""The registry of data set formats. A new format is one module beside this file and one entry in MODULES."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from bye_core.data.faults import Refusal
from bye_core.data.formats.base import Format, Layout

# The registry: one module for each format, in the order in which the formats are listed.
MODULES = (
    "llava",
    "qwen_vl",
    "sharegpt",
    "chat",
    "imagefolder",
    "vqa",
)
_FORMATS: tuple[Format, ...] = tuple(import_module(f"{__name__}.{name}").FORMAT for name in MODULES)
FORMATS: dict[str, Format] = {form.name: form for form in _FORMATS}
_BY_PRIORITY = sorted(FORMATS.values(), key=lambda form: -form.priority)


class UnknownFormat(Refusal):
    problem = "The format of {path} cannot be detected; its records have the keys: {seen}."
    remedy = "Give the format, one of {valid}; for a table, also name its columns."


class MissingColumn(Refusal):
    problem = "{path} read as {format} lacks the column(s) {missing}; it has: {seen}."
    remedy = "Name your own columns, for example with --columns question=my_question."


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
    seen = ", ".join(dict.fromkeys(str(key) for record in objects for key in record)) or "no readable object"
    if name is None:
        matches = [form for record in objects if (form := _format_of(record, layout))]
        if not matches:
            raise UnknownFormat(path=path, seen=seen, valid=", ".join(FORMATS))
        form = max(_BY_PRIORITY, key=matches.count)
    else:
        form = FORMATS[name]
    keys = complete_layout(form, layout).columns
    missing = [
        keys[column] for column in form.required if objects and not any(keys[column] in record for record in objects)
    ]
    if missing:
        raise MissingColumn(path=path, format=form.name, missing=", ".join(missing), seen=seen)
    return form


def complete_layout(form: Format, layout: Layout) -> Layout:
    """Return `layout` with the usual keys added for all columns that it does not rename.

    Raises: NoSuchColumn if it renames a column that the format lacks.
    """
    for column in layout.columns:
        if column not in form.columns:
            raise NoSuchColumn(format=form.name, column=column, valid=", ".join(form.columns))
    return Layout({**form.columns, **layout.columns}, layout.tags, layout.question)


def _format_of(record: Mapping[str, Any], layout: Layout) -> Format | None:
    candidates = (form for form in _BY_PRIORITY if set(layout.columns) <= set(form.columns))
    return next((form for form in candidates if form.matches(record, complete_layout(form, layout))), None)


def peek(rows: Iterable[Any], count: int) -> tuple[list[Any], Iterable[Any]]:
    """Return the first `count` rows as a list, and an iterable over all rows, including the first."""
    rows = iter(rows)
    head = list(itertools.islice(rows, count))
    return head, itertools.chain(head, rows)
