"""Opens and reads a data set: a file, a folder, a saved data set, or a name on the Hugging Face Hub."""

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
from bye_core.data.formats import Reader, complete_layout, detect_format, peek
from bye_core.data.formats.base import Layout
from bye_core.data.formats.sharegpt import ShareGpt
from bye_core.data.paths import RootFolder
from bye_core.data.reading import ReadingOptions
from bye_core.data.samples import read_samples
from bye_core.data.sources import CsvSource, JsonlSource, JsonSource, NotReadable, Source, parse
from bye_core.data.tables import ArrowSource, ParquetSource
from bye_core.errors import DataError

ANNOTATIONS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
# Files that this software writes beside an annotation file; they never hold a data set.
SIDE_FILES = ("dataset_info.json", "manifest.json", "removed.jsonl", "removed.csv", "truth.json")
PEEK = 64  # records inspected to detect the format; the first one may be untypical
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)  # owner/name


class DataSetNotFound(Refusal):
    problem = "There is no file or folder {path}."
    remedy = "Check the path. A data set on the hub is named owner/name."


class NoAnnotations(Refusal):
    problem = "The folder {path} holds no annotation file ({valid})."
    remedy = "Give the path of the annotation file, or put the file directly into the folder."


class SeveralAnnotations(Refusal):
    problem = "The folder {path} holds several annotation files: {found}."
    remedy = "Give the path of one file."


class EmptyDataSet(Refusal):
    problem = "{path} holds no records."
    remedy = "Check that this is the right file and that it is complete."


class UnsupportedInfo(Refusal):
    problem = "The entry {name} of {path} cannot be used: {why}."
    remedy = "Correct the entry: it must have a local `file_name` and the formatting sharegpt."


class HubFailed(Refusal):
    problem = "There is no file {path}, and no data set of this name could be loaded from the hub: {why}."
    remedy = "Check the name and the connection, or download the set and name its folder."


@dataclass(frozen=True)
class Location:
    """Where the records of a data set are, and what is known before they are read.

    format, layout, info  what a dataset_info.json says about the set, if there is one
    """

    source: Source
    root: Path
    format: str | None = None
    layout: Layout = field(default_factory=Layout)
    info: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def load_dataset(
    path: str | Path,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    split: str | None = None,
    question: str | None = None,
    strict_ids: bool = False,
) -> DataSet:
    """Read a data set: a file, a folder with one annotation file, a saved data set, or `owner/name` on the hub.

    The options are those of ReadingOptions. Faults of single records are listed in the result.
    Raises: DataError if the set as a whole cannot be read.
    """
    try:
        return _load(path, ReadingOptions(format, columns or {}, split, question, strict_ids))
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error


def record_keys(path: str | Path) -> tuple[str, ...]:
    """Return the keys of the first records, in order: the values that `columns` of `load_dataset` may have.

    Raises: DataError if the records cannot be read.
    """
    try:
        head, _ = peek(_locate(path).source.rows(), PEEK)
    except OSError as error:
        raise NotReadable(path=path, why=error.strerror or error) from error
    return tuple(dict.fromkeys(str(key) for record in head if isinstance(record, Mapping) for key in record))


def annotation_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files in a folder that may hold the records of a data set."""
    names = (file.name for file in folder.iterdir() if file.suffix.lower() in ANNOTATIONS and file.is_file())
    return tuple(sorted(name for name in names if name not in SIDE_FILES))


def _load(path: str | Path, reading: ReadingOptions) -> DataSet:
    location = _locate(path)
    use_info = reading.format in (None, location.format)  # a named format overrides dataset_info.json
    described = location.layout if use_info else Layout()
    layout = Layout({**described.columns, **reading.columns}, described.tags, reading.question)
    head, rows = peek(location.source.rows(), PEEK)
    if not head:
        raise EmptyDataSet(path=path)
    form = detect_format(path, head, reading.format or location.format, layout)
    complete = complete_layout(form, layout)
    records = read_samples(rows, Reader(form, complete), location.root, reading.strict_ids)
    return DataSet(
        path=location.source.path,
        root=location.root,
        format=form.name,
        samples=records.samples,
        text_only=records.text_only,
        faults=records.faults,
        size=records.size,
        digest=_digest(location.source, form.name, layout, complete, reading.strict_ids),
        source=location.source,
        layout=complete,
        notes=(*location.notes, *records.notes),
        info=location.info if use_info else None,
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


def _locate(path: str | Path) -> Location:
    local = Path(path)
    if local.is_dir():
        return _from_folder(local)
    if local.is_file():
        return _from_dataset_info(local) or Location(_open(local), local.parent)
    if HUB_NAME.fullmatch(str(path)) and not local.parent.exists() and local.suffix not in ANNOTATIONS:
        return _from_hub(str(path))
    raise DataSetNotFound(path=path)


def _from_folder(folder: Path) -> Location:
    if (folder / "state.json").is_file():
        return Location(ArrowSource.saved(folder), folder)
    if (folder / "dataset_dict.json").is_file():
        return _from_splits(folder)
    if (folder / "dataset_info.json").is_file() and (location := _from_dataset_info(folder / "dataset_info.json")):
        return location
    files = annotation_files(folder)
    if not files:
        raise NoAnnotations(path=folder, valid=", ".join(ANNOTATIONS))
    if len(files) > 1:
        raise SeveralAnnotations(path=folder, found=", ".join(files))
    return Location(_open(folder / files[0]), folder)


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
    return JsonlSource(path) if start.startswith(b"{") else JsonSource(path)  # JSONL files are often named .json


def _from_splits(folder: Path) -> Location:
    content = parse((folder / "dataset_dict.json").read_text(encoding="utf-8", errors="surrogateescape"))
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        raise NotReadable(path=folder, why="its dataset_dict.json lists no splits")
    split, notes = _training_split(folder, splits)
    if Path(split).name != split or not (folder / split / "state.json").is_file():
        raise NotReadable(path=folder, why=f"it has no folder for the split {split}")
    return Location(ArrowSource.saved(folder / split), folder / split, notes=notes)


def _training_split(path: object, splits: list[str]) -> tuple[str, tuple[str, ...]]:
    """Return the name of the split for fine-tuning, and notes on the splits that are not read.

    Raises: SeveralAnnotations if it is unclear which split to use.
    """
    split = "train" if "train" in splits else splits[0] if len(splits) == 1 else None
    if split is None:
        raise SeveralAnnotations(path=path, found=", ".join(f"{path}/{name}" for name in splits) or "no split")
    others = [name for name in splits if name != split]
    return split, ((f"Only the split {split} was read, not {', '.join(others)}.",) if others else ())


def _from_dataset_info(path: Path) -> Location | None:
    """Return the location that LLaMA-Factory's dataset_info.json describes; None if there is no such file or entry.

    `path` is a data file; if it is the dataset_info.json itself, the file must describe only one set.
    """
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
    return _from_entry(info, name, entry)


def _from_entry(info: Path, name: str, entry: Mapping[str, Any]) -> Location:
    columns, tags = entry.get("columns", {}), entry.get("tags", {})
    for part in (columns, tags):
        if not isinstance(part, dict) or not all(isinstance(value, str) for value in part.values()):
            raise UnsupportedInfo(name=name, path=info, why="its columns or tags are not an object of names")
    if entry.get("formatting", "sharegpt") != "sharegpt":
        raise UnsupportedInfo(name=name, path=info, why=f"its formatting is {entry['formatting']}")
    try:
        file = RootFolder(info.parent).resolve(entry["file_name"])
    except DataError as error:
        raise UnsupportedInfo(
            name=name, path=info, why=f"its file {entry['file_name']} is not in the folder"
        ) from error
    names = {key: columns[key] for key in ("images", "system", "messages") if key in columns}
    if "messages" in names:
        names["conversations"] = names["messages"]
    return Location(_open(file), info.parent, ShareGpt.name, Layout(names, tags), {name: dict(entry)})


def _from_hub(name: str) -> Location:
    import datasets

    try:
        loaded = datasets.load_dataset(name)
    except Exception as error:  # the library, its network stack and its file systems each raise their own
        raise HubFailed(path=name, why=error) from error
    split, notes = _training_split(name, [str(split) for split in loaded])
    table = loaded[split].data.table
    files = [Path(entry["filename"]) for entry in loaded[split].cache_files]
    # The root is the cache folder, so image paths in the records cannot lead to other files.
    root = files[0].parent if files else Path(datasets.config.HF_DATASETS_CACHE)
    return Location(ArrowSource(Path(name), table, files, None), root, notes=notes)
