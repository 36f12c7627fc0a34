"""Finds the records of a data set: in a file, a folder with splits or shards, a saved data set, or on the hub."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bye_core.data.bounds import read_small_file
from bye_core.data.dataset_info import INFO, INFO_LEVELS, UnsupportedInfo, entry_layout, finds_info, info_entries
from bye_core.data.faults import Refusal
from bye_core.data.file_source import open_file
from bye_core.data.formats.base import Layout
from bye_core.data.hub_files import load_from_hub
from bye_core.data.listing import (
    ANNOTATIONS,
    DEEPEST,
    FOLDERS,
    SUFFIXES,
    annotation_files,
    holds_images,
    holds_records,
    split_folders,
    tar_files,
)
from bye_core.data.paths import RootFolder
from bye_core.data.reading import ReadingOptions
from bye_core.data.shards import (
    ShardedSource,
    choose_group,
    choose_name,
    group_files,
    split_of,
    stem_of,
)
from bye_core.data.sources import NoSuchSplit, Source, parse
from bye_core.data.tables import ArrowSource
from bye_core.data.text_files import NotReadable
from bye_core.data.webdataset import SUFFIX as TAR
from bye_core.errors import DataError

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)  # owner/name


class DataSetNotFound(Refusal):
    problem = "There is no file or folder {path}."
    remedy = "Check the path. A data set on the hub is named owner/name."


class NoAnnotations(Refusal):
    problem = "The folder {path} holds no annotation file ({valid})."
    remedy = "Give the path of the annotation file.{hint}"


class LinkedOutside(Refusal):
    problem = "The annotation file {path} is a link that leads out of its folder."
    remedy = "Copy the file into the folder, or give the path of the file itself."


class SeveralAnnotations(Refusal):
    problem = "The folder {path} holds several annotation files: {found}."
    remedy = "Give the path of one file."


class SeveralEntries(SeveralAnnotations):
    problem = "The dataset_info.json in {path} describes several data sets: {found}."
    remedy = "Choose one of these names with --split, or give the path of its file."


class HubFailed(Refusal):
    problem = "There is no file {path}, and no data set of this name could be loaded from the hub: {why}."
    remedy = "Check the name and the connection, or download the set and name its folder."


@dataclass(frozen=True)
class Location:
    """Where the records of a data set are, and what is known before they are read.

    roots         folders that image paths may be relative to, the most likely one first
    path          the path that, with the same options, leads here again; None for the path of `source`
    split_used    whether the wanted split was chosen
    format, layout, info  what a dataset_info.json says about the set, if there is one
    """

    source: Source
    roots: tuple[Path, ...]
    path: Path | None = None
    split_used: bool = False
    format: str | None = None
    layout: Layout = field(default_factory=Layout)
    info: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def locate(path: str | Path, reading: ReadingOptions) -> Location:
    """Find the records of a data set. Raises: DataError if it is not clear which records are meant."""
    local = Path(path)
    if local.is_dir():
        return _from_folder(local, local, reading)
    if local.is_file():
        return _from_info(local, reading) or _from_file(local, reading)
    is_file_name = local.name.lower().endswith((*ANNOTATIONS, TAR))
    if HUB_NAME.fullmatch(str(path)) and not local.parent.exists() and not is_file_name:
        return _from_hub(str(path), reading)
    raise DataSetNotFound(path=path)


def _from_file(
    file: Path, reading: ReadingOptions, format: str | None = None, layout: Layout | None = None
) -> Location:
    layout = layout or Layout()
    named = reading.split in (file.name, stem_of(file), split_of(stem_of(file)) or file.name)
    inner = replace(reading, split=None) if named else reading
    return Location(
        open_file(file, inner, format, layout), (file.parent,), split_used=named, format=format, layout=layout
    )


def _from_folder(folder: Path, top: Path, reading: ReadingOptions, depth: int = 0) -> Location:
    """Find the records in `folder`; `top` is the folder that the user named."""
    roots = tuple(dict.fromkeys((folder, top)))
    if (folder / "state.json").is_file():
        return Location(ArrowSource.saved(folder), roots)
    if (folder / "dataset_dict.json").is_file():
        return _from_saved_splits(folder, top, reading)
    if (folder / INFO).is_file() and (location := _from_info(folder / INFO, reading)):
        return location
    files = [folder / name for name in annotation_files(folder)] or tar_files(folder)
    if files and (location := _from_files(folder, top, files, reading)):
        return location
    if depth < DEEPEST and (names := split_folders(folder)):
        name, notes = choose_name(top, names, reading.split)
        location = _from_folder(folder / name, top, replace(reading, split=None), depth + 1)
        used = reading.split is not None
        return replace(location, path=top, split_used=used, notes=(*notes, *location.notes))
    if files:
        raise NoSuchSplit(path=top, split=reading.split, found=", ".join(g.named for g in group_files(files)))
    inner = [folder / name for name in FOLDERS if holds_records(folder / name)] if depth < DEEPEST else []
    if len(inner) == 1:
        return replace(_from_folder(inner[0], top, reading, depth + 1), path=top)
    hint = (
        " For a folder of images alone, write a metadata.csv with the columns file_name, question and answer."
        if holds_images(folder)
        else ""
    )
    raise NoAnnotations(path=folder, valid=", ".join((*SUFFIXES, TAR)), hint=hint)


def _from_files(folder: Path, top: Path, files: list[Path], reading: ReadingOptions) -> Location | None:
    """Return the location of one split among the files of a folder; None if no file is the wanted split.

    Raises: SeveralAnnotations if it is unclear which file to read; SeveralSplits if no split is for training.
    """
    groups, split = group_files(files), reading.split
    roots = tuple(dict.fromkeys((folder, top)))
    wanted = [g for g in groups if split in (g.name, g.split, *(file.name for file in g.files))]
    if split is not None and not wanted and len(groups) > 1:
        if split_folders(folder):
            return None
        raise NoSuchSplit(path=top, split=split, found=", ".join(group.named for group in groups))
    inner = replace(reading, split=None) if wanted else reading
    chosen = choose_group(top, groups, split if wanted else None)
    if chosen is None:
        raise SeveralAnnotations(path=folder, found=", ".join(file.name for file in files))
    group, notes = chosen
    for file in group.files:
        _check_inside(file, top)
    if len(group.files) == 1 and len(groups) == 1 and folder == top:
        return Location(open_file(group.files[0], inner), roots, split_used=bool(wanted), notes=notes)
    if len(group.files) == 1:
        return Location(open_file(group.files[0], inner), roots, top, split_used=bool(wanted), notes=notes)
    shards = [open_file(file, inner) for file in group.files]
    return Location(ShardedSource(top, shards), roots, top, split_used=bool(wanted), notes=notes)


def _check_inside(file: Path, top: Path) -> None:
    """Raise LinkedOutside if a file found in the folder `top` is a link that leads out of it.

    In the hub's cache, the files of a snapshot are links to the folder `blobs` of the same repository.
    """
    real, folder = os.path.realpath(file), Path(os.path.realpath(top))
    snapshot = next((parent for parent in (folder, *folder.parents) if parent.name == "snapshots"), None)
    roots = [folder, *([snapshot.parent / "blobs"] if snapshot else [])]
    if not any(real.startswith(str(root).rstrip(os.sep) + os.sep) for root in roots):
        raise LinkedOutside(path=file)


def _from_saved_splits(folder: Path, top: Path, reading: ReadingOptions) -> Location:
    content = parse(read_small_file(folder / "dataset_dict.json").decode("utf-8", "surrogateescape"))
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        raise NotReadable(path=folder, why="its dataset_dict.json lists no splits")
    split, notes = choose_name(folder, splits, reading.split)
    if Path(split).name != split or not (folder / split / "state.json").is_file():
        raise NotReadable(path=folder, why=f"it has no folder for the split {split}")
    source, used = ArrowSource.saved(folder / split), reading.split is not None
    return Location(source, (folder / split,), top, split_used=used, notes=notes)


def _from_info(path: Path, reading: ReadingOptions) -> Location | None:
    """Return the location that LLaMA-Factory's dataset_info.json describes; None if there is no such file or entry.

    `path` is a data file, or the dataset_info.json itself. Raises: SeveralEntries if several entries are meant.
    """
    if path.name == INFO:
        return _choose_entry(path, info_entries(path), path.parent, reading)
    file = Path(os.path.abspath(path))
    for folder in file.parents[:INFO_LEVELS]:
        entries = info_entries(folder / INFO)
        same = {
            name: entry for name, entry in entries.items()
            if os.path.realpath(folder / entry["file_name"]) == os.path.realpath(file)
        }  # fmt: skip
        if same:
            return _choose_entry(folder / INFO, same, path, reading)
    return None


def _choose_entry(
    info: Path, entries: Mapping[str, dict[str, Any]], path: Path, reading: ReadingOptions
) -> Location | None:
    if not entries:
        return None
    if reading.split in entries:
        chosen = replace(reading, split=None)
        return replace(
            _from_entry(info, str(reading.split), entries[str(reading.split)], chosen, path), split_used=True
        )
    found = ", ".join(f"{name} ({entry['file_name']})" for name, entry in entries.items())
    if len(entries) > 1:
        if reading.split is not None:
            raise NoSuchSplit(path=info, split=reading.split, found=found)
        raise SeveralEntries(path=info.parent, found=found)
    ((name, entry),) = entries.items()
    return _from_entry(info, name, entry, reading, path)


def _from_entry(info: Path, name: str, entry: Mapping[str, Any], reading: ReadingOptions, path: Path) -> Location:
    format, layout = entry_layout(info, name, entry, reading)
    location = _entry_file(info, name, entry, reading, format, layout)
    roots = tuple(dict.fromkeys((info.parent, *location.roots)))
    info_entry = {name: dict(entry)} if format else None
    if location.path is None and location.source.path.is_file() and finds_info(info, location.source.path):
        path = location.source.path  # the file leads to its entry
    return replace(location, roots=roots, path=path, format=format, layout=layout, info=info_entry)


def _entry_file(
    info: Path, name: str, entry: Mapping[str, Any], reading: ReadingOptions, format: str | None, layout: Layout
) -> Location:
    """Return the location of the file or folder that an entry names, inside the folder of its dataset_info.json."""
    given, root = entry["file_name"], os.path.realpath(info.parent)
    target = os.path.realpath(info.parent / given)
    if os.path.isdir(target) and (target + os.sep).startswith(root + os.sep) and target != root:
        return _from_folder(Path(target), Path(target), reading, DEEPEST)
    try:
        file = RootFolder(info.parent).resolve(given)
    except DataError as error:
        raise UnsupportedInfo(name=name, path=info, why=f"its file {given} is not in the folder") from error
    return _from_file(Path(file), reading, format, layout)


def _from_hub(name: str, reading: ReadingOptions) -> Location:
    import datasets

    try:
        loaded = load_from_hub(name)
    except DataError:
        raise
    except Exception as error:  # the library, its network stack and its file systems each raise their own
        raise HubFailed(path=name, why=error) from error
    split, notes = choose_name(name, [str(split) for split in loaded], reading.split)
    table = loaded[split].data.table
    files = [Path(entry["filename"]) for entry in loaded[split].cache_files]
    # The root is the cache folder, so image paths in the records cannot lead to other files.
    root = files[0].parent if files else Path(datasets.config.HF_DATASETS_CACHE)
    source, used = ArrowSource(Path(name), table, files, None), reading.split is not None
    return Location(source, (root,), split_used=used, notes=notes)
