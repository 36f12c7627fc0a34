"""The formats a data set may have, one module each: COLUMNS, FILE, matches, read, write."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from bye_core.data.faults import Refusal
from bye_core.data.formats import chat, imagefolder, llava, qwen_vl, sharegpt, vqa
from bye_core.data.formats.draft import Layout

FORMATS = {
    "llava": llava,
    "qwen-vl": qwen_vl,
    "sharegpt": sharegpt,
    "chat": chat,
    "imagefolder": imagefolder,
    "vqa": vqa,
}
# The order of asking: a format that asks for more comes before the one whose records it resembles.
_ASKED = ("sharegpt", "chat", "qwen-vl", "llava", "imagefolder", "vqa")


class UnknownFormat(Refusal):
    problem = "{path} has no format known here; its records have the keys: {seen}."
    remedy = "Name the format, one of {valid}, and for tables the columns."


class MissingColumn(Refusal):
    problem = "{path} read as {format} lacks the column(s) {missing}; it has: {seen}."
    remedy = "Name yours, for example columns={{'question': 'my_question'}}."


class NoSuchFormat(Refusal):
    problem = "{format} is not a format."
    remedy = "Use one of {valid}."


class NoSuchColumn(Refusal):
    problem = "The format {format} has no column {column} to be renamed."
    remedy = "It has: {valid}."


def choose(path: object, records: list[Any], format: str | None, layout: Layout) -> str:
    """The format that most of the first `records` have, unless one is named; then whether its columns are there."""
    if format is not None and format not in FORMATS:
        raise NoSuchFormat(format=format, valid=", ".join(FORMATS))
    objects = [record for record in records if isinstance(record, Mapping)]
    seen = ", ".join(dict.fromkeys(str(key) for record in objects for key in record)) or "no readable object"
    if format is None:
        names = [name for record in objects if (name := _format_of(record, layout))]
        if not names:
            raise UnknownFormat(path=path, seen=seen, valid=", ".join(FORMATS))
        format = max(_ASKED, key=names.count)
    complete = full(format, layout)
    missing = [
        complete.names[name]
        for name in getattr(FORMATS[format], "REQUIRED", ())
        if objects and not any(complete.names[name] in record for record in objects)
    ]
    if missing:
        raise MissingColumn(path=path, format=format, missing=", ".join(missing), seen=seen)
    return format


def full(format: str, layout: Layout) -> Layout:
    """`layout` completed by the format's own column names."""
    own = FORMATS[format].COLUMNS
    for column in layout.names:
        if column not in own:
            raise NoSuchColumn(format=format, column=column, valid=", ".join(own))
    return Layout({**own, **layout.names}, layout.tags)


def _format_of(record: Mapping[str, Any], layout: Layout) -> str | None:
    fitting = (name for name in _ASKED if set(layout.names) <= set(FORMATS[name].COLUMNS))
    return next((name for name in fitting if FORMATS[name].matches(record, full(name, layout))), None)


def peek(rows: Iterable[Any], count: int) -> tuple[list[Any], Iterable[Any]]:
    """The first rows, and all rows."""
    rows = iter(rows)
    head = list(itertools.islice(rows, count))
    return head, itertools.chain(head, rows)
