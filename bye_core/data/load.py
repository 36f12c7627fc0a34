"""Opens and reads a data set: a file, a folder, a saved data set, or a name on the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core.data.bounds import Budget
from bye_core.data.dataset import DataSet
from bye_core.data.faults import LONGEST_QUOTE, Refusal, value_type
from bye_core.data.formats import Reader, complete_layout, detect_format, peek
from bye_core.data.formats.base import Layout
from bye_core.data.json_source import JsonSource
from bye_core.data.location import Location, locate
from bye_core.data.paths import RootFolder
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.data.samples import Records, read_samples
from bye_core.data.set_index import indexed
from bye_core.data.sources import NoSuchSplit, Source
from bye_core.data.text_files import NotReadable
from bye_core.errors import DataError, SettingError, printable

PEEK = 64  # records inspected to detect the format; the first one may be untypical


# Folders beside the annotations that image paths may be relative to; the last four are COCO's.
IMAGE_FOLDERS = ("images", "image", "imgs", "train2017", "val2017", "train2014", "val2014")


class EmptyDataSet(Refusal):
    problem = "{path} holds no records."
    remedy = "Check that this is the right file and that it is complete."


class NotText(SettingError):
    problem = "The argument {name} is {kind} that cannot be used."
    remedy = "Give it as text without NUL characters."


def load_dataset(
    path: str | Path,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    split: str | None = None,
    question: str | None = None,
    strict_ids: bool = False,
    index: Path | None = None,
    check: str = "",
) -> DataSet:
    """Read a data set: a file, a folder with one annotation file, a saved data set, or `owner/name` on the hub.

    The options are those of ReadingOptions. Faults of single records are listed in the result. A large set is stored
    in the folder `index` (see set_index) and opened from there the next time. `check` names a check that is to follow:
    then the set is read again, unless this check of it is unfinished.
    Raises: DataError if the set as a whole cannot be read; NotText if an argument has another type.
    """
    texts = {"format": format, "split": split, "question": question}
    _check_texts({"path": os.fspath(path) if isinstance(path, os.PathLike) else path} | texts)
    if path is None:
        raise NotText(name="path", kind=value_type(path))
    if not isinstance(columns or {}, Mapping):
        raise NotText(name="columns", kind=value_type(columns))
    _check_texts({f"column {name}": key for name, key in (columns or {}).items()})
    try:
        return _load(path, ReadingOptions(format, columns or {}, split, question, strict_ids), index, check)
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error


def _check_texts(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        if not isinstance(value, str | None) or "\0" in (value or ""):
            raise NotText(name=printable(name, LONGEST_QUOTE), kind=value_type(value))


def record_keys(path: str | Path, reading: ReadingOptions = AUTOMATIC) -> tuple[str, ...]:
    """Return the keys of the first records, in order: the values that `columns` of `load_dataset` may have.

    Raises: DataError if the records cannot be read.
    """
    try:
        head, _ = peek(locate(path, reading).source.rows(), PEEK)
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error
    return tuple(dict.fromkeys(str(key) for record in head if isinstance(record, Mapping) for key in record))


def _load(path: str | Path, reading: ReadingOptions, index: Path | None, check: str) -> DataSet:
    location = locate(path, reading)
    use_info = reading.format in (None, location.format)  # a named format overrides dataset_info.json
    described = location.layout if use_info else Layout()
    layout = Layout({**described.columns, **reading.columns}, described.tags, reading.question)
    head, rows = peek(location.source.rows(), PEEK)
    _check_split(path, location, reading.split)
    if not head:
        raise EmptyDataSet(path=path)
    form = detect_format(path, head, reading.format or location.format, layout)
    complete = complete_layout(form, layout)
    reader = Reader(form, complete)
    root = _root(location.roots, head, reader)

    def read() -> Records:
        return read_samples(rows, reader, root, reading.strict_ids, Budget(path, location.source.size))

    # Whether the format was found or named: so the data set of a run opens from the index that its scan wrote.
    more = replace(reading, format=None, columns={}).record()
    options = [form.name, dict(complete.columns), dict(complete.tags), more]
    records, stored = (read(), None) if index is None else indexed(index, check, location.source, root, options, read)
    return DataSet(
        path=location.path or location.source.path,
        root=root,
        format=form.name,
        samples=records.samples,
        text_only=records.text_only,
        faults=records.faults,
        size=records.size,
        digest=_digest(location.source, form.name, layout, complete, reading.strict_ids),
        source=location.source,
        layout=complete,
        notes=tuple(map(printable, (*location.notes, *location.source.notes, *records.notes))),
        info=location.info if use_info else None,
        index=stored,
    )


def _digest(source: Source, format: str, layout: Layout, complete: Layout, strict_ids: bool) -> str:
    """Return the digest of the content and of the reading options that make it a different data set."""
    facts: list[Any] = [format, dict(complete.columns), dict(layout.tags)] if layout.columns or layout.tags else []
    facts += [{"question": layout.question}] if layout.question else []
    facts += [{"strict_ids": True}] if strict_ids else []
    digest = source.digest()
    if not facts:
        return digest
    return hashlib.sha256((digest + json.dumps(facts, sort_keys=True)).encode("utf-8", "backslashreplace")).hexdigest()


def _check_split(path: str | Path, location: Location, split: str | None) -> None:
    """Raise NoSuchSplit if `split` was named and is not what was read."""
    chosen = location.source.chosen if isinstance(location.source, JsonSource) else ""
    if split and not location.split_used and chosen != split:
        raise NoSuchSplit(path=path, split=split, found="no splits")


def _root(roots: Sequence[Path], head: Sequence[Any], reader: Reader) -> Path:
    """Return the folder in which most images of the first records are; the first folder if none is better.

    The records of many sets name files in a folder of images, which trainers get by an option of their own.
    """
    inner = [root / name for root in roots for name in IMAGE_FOLDERS if (root / name).is_dir()]
    if len(roots) + len(inner) == 1:
        return roots[0]
    candidates = [*roots, *inner]
    names = [name for record in head if isinstance(record, Mapping) for name in _image_names(record, reader)]
    counts = [sum(_is_file(RootFolder(root), name) for name in names) for root in candidates]
    return candidates[counts.index(max(counts))]


def _image_names(record: Mapping[str, Any], reader: Reader) -> list[str]:
    try:
        return [image for image in reader.read(record).images if isinstance(image, str)]
    except DataError:
        return []


def _is_file(folder: RootFolder, name: str) -> bool:
    try:
        folder.resolve(name)
    except DataError:
        return False
    return True
