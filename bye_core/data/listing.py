"""Lists the files and folders that may hold the records of a data set, without reading the records."""

from __future__ import annotations

import itertools
from pathlib import Path

from bye_core.data.bounds import read_small_file
from bye_core.data.dataset_info import INFO, info_entries
from bye_core.data.shards import group_files, split_of
from bye_core.data.sources import parse
from bye_core.data.webdataset import SUFFIX as TAR

TEXT_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
ANNOTATIONS = (*SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES))
# Files that this software writes beside an annotation file; they never hold a data set.
SIDE_FILES = ("dataset_info.json", "manifest.json", "removed.jsonl", "removed.csv", "truth.json")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MOST_LISTED = 1000  # files and folders that are inspected for a hint
FOLDERS = ("data", "default", "annotations")  # folders that may hold the files of a set, as on the hub and in COCO
DEEPEST = 3  # folders between the folder of a data set and its files


def annotation_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files in a folder that may hold the records of a data set."""
    names = (file.name for file in folder.iterdir() if file.name.lower().endswith(ANNOTATIONS) and file.is_file())
    return tuple(sorted(name for name in names if name not in SIDE_FILES and not name.startswith(".")))


def split_names(folder: Path, depth: int = 0) -> tuple[str, ...]:
    """Return the names that `split` may have for a folder: its splits, or the entries of its dataset_info.json."""
    if (folder / "dataset_dict.json").is_file():
        content = parse(read_small_file(folder / "dataset_dict.json").decode("utf-8", "surrogateescape"))
        splits = content.get("splits") if isinstance(content, dict) else None
        return tuple(map(str, splits)) if isinstance(splits, list) else ()
    if entries := info_entries(folder / INFO):
        return tuple(entries)
    groups = group_files([folder / name for name in annotation_files(folder)] or tar_files(folder))
    if groups:
        return tuple(group.named for group in groups) if all(group.split for group in groups) else ()
    if names := split_folders(folder):
        return tuple(names)
    inner = [folder / name for name in FOLDERS if holds_records(folder / name)] if depth < DEEPEST else []
    return split_names(inner[0], depth + 1) if len(inner) == 1 else ()


def tar_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == TAR and file.is_file())


def split_folders(folder: Path) -> list[str]:
    """Return the names of the folders that hold the splits of a data set."""
    names = sorted(item.name for item in folder.iterdir() if item.is_dir() and split_of(item.name))
    return [name for name in names if holds_records(folder / name)]


def holds_records(folder: Path, depth: int = 1) -> bool:
    """Return whether a folder holds an annotation file, a shard, a saved data set, or splits of them."""
    if not folder.is_dir():
        return False
    if (folder / "state.json").is_file() or annotation_files(folder) or tar_files(folder):
        return True
    inner = [item for item in folder.iterdir() if item.is_dir() and (split_of(item.name) or item.name in FOLDERS)]
    return depth < DEEPEST and any(holds_records(item, depth + 1) for item in inner)


def holds_images(folder: Path) -> bool:
    """Return whether a folder holds image files, as far as its first entries show."""
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in itertools.islice(folder.rglob("*"), MOST_LISTED))
