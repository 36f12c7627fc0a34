"""Finds what a path means, opens it and reads it: `load_dataset`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bye_core.data.dataset import DataSet
from bye_core.data.faults import Refusal
from bye_core.data.formats import complete_layout, detect_format, peek
from bye_core.data.formats.base import Layout
from bye_core.data.formats.sharegpt import ShareGpt
from bye_core.data.images import Folder
from bye_core.data.samples import build
from bye_core.data.sources import CsvSource, JsonlSource, JsonSource, NotReadable, Source, parse
from bye_core.data.tables import ArrowSource, ParquetSource
from bye_core.errors import DataError

ANNOTATIONS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
# Files that this software writes beside an annotation file; they never hold a data set.
BESIDE = ("dataset_info.json", "manifest.json", "removed.jsonl", "removed.csv", "truth.json")
PEEK = 64  # records looked at to tell the format; the first may be untypical
_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class DataSetNotFound(Refusal):
    problem = "There is no file or folder {path}."
    remedy = "Check the path. A data set of the hub is named owner/name."


class NoAnnotations(Refusal):
    problem = "The folder {path} holds no annotation file ({valid})."
    remedy = "Name the file itself, or put it at the top of the folder."


class SeveralAnnotations(Refusal):
    problem = "The folder {path} holds several annotation files: {found}."
    remedy = "Name the one you mean."


class EmptyDataSet(Refusal):
    problem = "{path} holds no records."
    remedy = "Check that this is the right file and that it was written completely."


class UnsupportedInfo(Refusal):
    problem = "The entry {name} of {path} cannot be used: {why}."
    remedy = "It has to name a local `file_name` and the formatting sharegpt."


class HubFailed(Refusal):
    problem = "{path} is no local path, and the hub gave no data set of that name: {why}."
    remedy = "Check the name and the connection, or download the set and name its folder."


@dataclass(frozen=True)
class Place:
    """Where the records are, and what is known about them without reading any."""

    source: Source
    root: Path
    format: str | None = None
    layout: Layout = field(default_factory=Layout)
    info: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def load_dataset(path: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> DataSet:
    """Reads a data set: a file, a folder with one annotation file, a saved data set, or `owner/name` on the hub.

    `format` is one of FORMATS, or told from the records. `columns` renames columns, as in {"question": "my_q"}.
    Raises a DataError if the set as a whole cannot be read; faults of single records are listed in the result.
    """
    try:
        return _load(path, format, columns)
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error


def columns_of(path: str | Path) -> tuple[str, ...]:
    """The keys of the first records, in the order they come: what `columns` may choose from. Raises a DataError."""
    try:
        head, _ = peek(_locate(path).source.rows(), PEEK)
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error
    return tuple(dict.fromkeys(str(key) for record in head if isinstance(record, Mapping) for key in record))


def annotations(folder: Path) -> tuple[str, ...]:
    """The files of a folder that may be the one meant where there are several."""
    names = (file.name for file in folder.iterdir() if file.suffix.lower() in ANNOTATIONS and file.is_file())
    return tuple(sorted(name for name in names if name not in BESIDE))


def _load(path: str | Path, format: str | None, columns: Mapping[str, str] | None) -> DataSet:
    place = _locate(path)
    described = place.layout if format in (None, place.format) else Layout()  # a named format overrules dataset_info
    layout = Layout({**described.columns, **(columns or {})}, described.tags)
    head, rows = peek(place.source.rows(), PEEK)
    if not head:
        raise EmptyDataSet(path=path)
    form = detect_format(path, head, format or place.format, layout)
    complete = complete_layout(form, layout)
    samples, faults, size = build(rows, form, complete, place.root)
    digest = place.source.digest()
    if layout.columns or layout.tags:  # the same file read in another way is another data set
        spelling = json.dumps([form.name, dict(complete.columns), dict(layout.tags)], sort_keys=True)
        digest = hashlib.sha256((digest + spelling).encode("utf-8", "backslashreplace")).hexdigest()
    return DataSet(
        place.source.path, place.root, form.name, samples, faults, size, digest, place.source, complete,
        place.notes, place.info if described is place.layout else None,
    )  # fmt: skip


def _locate(path: str | Path) -> Place:
    place = Path(path)
    if place.is_dir():
        return _folder(place)
    if place.is_file():
        return _described(place) or Place(_open(place), place.parent)
    if _HUB.fullmatch(str(path)) and not place.parent.exists() and place.suffix not in ANNOTATIONS:
        return _hub(str(path))
    raise DataSetNotFound(path=path)


def _folder(folder: Path) -> Place:
    if (folder / "state.json").is_file():
        return Place(ArrowSource.saved(folder), folder)
    if (folder / "dataset_dict.json").is_file():
        return _splits(folder)
    if (folder / "dataset_info.json").is_file() and (place := _described(folder / "dataset_info.json")):
        return place
    found = annotations(folder)
    if not found:
        raise NoAnnotations(path=folder, valid=", ".join(ANNOTATIONS))
    if len(found) > 1:
        raise SeveralAnnotations(path=folder, found=", ".join(found))
    return Place(_open(folder / found[0]), folder)


def _open(path: Path) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return ParquetSource(path)
    if suffix in (".csv", ".tsv"):
        return CsvSource(path)
    if suffix in (".jsonl", ".ndjson"):
        return JsonlSource(path)
    if suffix != ".json":
        raise NotReadable(path=path, why=f"its name ends in none of {', '.join(ANNOTATIONS)}")
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    return JsonlSource(path) if start.startswith(b"{") else JsonSource(path)  # many name their JSONL files .json


def _splits(folder: Path) -> Place:
    content = parse((folder / "dataset_dict.json").read_text(encoding="utf-8", errors="surrogateescape"))
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        raise NotReadable(path=folder, why="its dataset_dict.json lists no splits")
    split, notes = _training_split(folder, splits)
    if Path(split).name != split or not (folder / split / "state.json").is_file():
        raise NotReadable(path=folder, why=f"the split {split} is not in it")
    return Place(ArrowSource.saved(folder / split), folder / split, notes=notes)


def _training_split(path: object, splits: list[str]) -> tuple[str, tuple[str, ...]]:
    """The split that fine-tuning uses, and a note on those left unread."""
    split = "train" if "train" in splits else splits[0] if len(splits) == 1 else None
    if split is None:
        raise SeveralAnnotations(path=path, found=", ".join(f"{path}/{name}" for name in splits) or "no split")
    others = [name for name in splits if name != split]
    return split, ((f"Only the split {split} was read, not {', '.join(others)}.",) if others else ())


def _described(path: Path) -> Place | None:
    """What LLaMA-Factory's dataset_info.json says about the file `path`, or about the only set it names."""
    info = path.with_name("dataset_info.json")
    if not info.is_file():
        return None
    content = parse(info.read_bytes().decode("utf-8", "surrogateescape"))
    entries = {k: v for k, v in content.items() if isinstance(v, dict)} if isinstance(content, dict) else {}
    entries = {name: entry for name, entry in entries.items() if isinstance(entry.get("file_name"), str)}
    if path.name != info.name:
        entries = {name: entry for name, entry in entries.items() if entry["file_name"] == path.name}
    if not entries:
        return None
    if len(entries) > 1:
        raise SeveralAnnotations(path=info.parent, found=", ".join(entry["file_name"] for entry in entries.values()))
    ((name, entry),) = entries.items()
    return _of_entry(info, name, entry)


def _of_entry(info: Path, name: str, entry: Mapping[str, Any]) -> Place:
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    for part in (columns, tags):
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise UnsupportedInfo(name=name, path=info, why="its columns or tags are no table of names")
    if entry.get("formatting", "sharegpt") != "sharegpt":
        raise UnsupportedInfo(name=name, path=info, why=f"its formatting is {entry['formatting']}")
    try:
        file = Folder(info.parent).find(entry["file_name"])
    except DataError as error:
        raise UnsupportedInfo(name=name, path=info, why=error.problem) from error
    names = {key: columns[key] for key in ("images", "system", "messages") if key in columns}
    if "messages" in names:
        names["conversations"] = names["messages"]
    return Place(_open(file), info.parent, ShareGpt.name, Layout(names, tags), {name: dict(entry)})


def _hub(name: str) -> Place:
    import datasets

    try:
        loaded = datasets.load_dataset(name)
    except Exception as error:  # the library, its network stack and its file systems each raise their own
        raise HubFailed(path=name, why=error) from error
    split, notes = _training_split(name, [str(split) for split in loaded])
    table = loaded[split].data.table
    files = [Path(entry["filename"]) for entry in loaded[split].cache_files]
    # The cache folder as the root: paths inside the set may point there at most.
    root = files[0].parent if files else Path(datasets.config.HF_DATASETS_CACHE)
    return Place(ArrowSource(Path(name), table, files, None), root, notes=notes)
