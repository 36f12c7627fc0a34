"""Writes a cleaned data set: the kept records, their pictures, what was removed, and a manifest."""

from __future__ import annotations

import csv
import json
import os
import posixpath
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core.data import images
from bye_core.data.dataset import DataSet
from bye_core.data.faults import Refusal, shown
from bye_core.data.folders import restore, whole_folder
from bye_core.data.formats import FORMATS, NoSuchFormat
from bye_core.data.formats.base import CannotConvert
from bye_core.data.load import ANNOTATIONS
from bye_core.files import file_sha256
from bye_core.records import Sample

MANIFEST = "manifest.json"
MARK = "bye_export"  # the key by which a manifest is known as ours; its value is the manifest's version
LISTED = 5  # ids that a message lists


class UnknownIds(Refusal):
    problem = "{count} of the ids to be kept are no usable samples of the data set, for example {ids}."
    remedy = "Keep ids that were scanned; records with a fatal fault cannot be exported."


class NothingToKeep(Refusal):
    problem = "No sample is to be kept, and an empty data set cannot be used."
    remedy = "Accept at least one sample."


class OutInUse(Refusal):
    problem = "{out} exists and is not an earlier export."
    remedy = "Name a new or empty folder; other people's files are never replaced."


class OutIsSource(Refusal):
    problem = "Writing to {out} would replace the data set itself."
    remedy = "Name a folder outside the data set."


class CannotWrite(Refusal):
    problem = "{out} cannot be written: {why}."
    remedy = "Free some space or name another folder, then export again; nothing was replaced."


class ReservedName(Refusal):
    problem = "The picture {name} of sample {id} has a name that the export needs for itself."
    remedy = "Rename the picture and correct its record, or leave the sample out."


class CannotConvertSome(Refusal):
    problem = "{count} samples do not fit into the format {format}, for example {ids}: {why}"
    remedy = "Export in the same format, which always works, or leave these samples out."


def export(
    dataset: DataSet,
    keep: Collection[str],
    removed: Sequence[Mapping[str, Any]],
    out: str | Path,
    format: str = "same",
    manifest: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes the samples `keep` to the folder `out`, which appears whole or not at all; returns the manifest.

    `format` "same" copies the records as they stand; another one of FORMATS writes them anew. `removed` are rows
    for removed.jsonl and removed.csv. `manifest` holds further facts, its `counts` beside the export's own.
    An earlier export at `out` is replaced, anything else there is refused.
    """
    if format != "same" and format not in FORMATS:
        raise NoSuchFormat(format=format, valid=", ".join(("same", *FORMATS)))
    kept = _kept(dataset, keep)
    try:
        return _write(dataset, kept, removed, _permitted(Path(out), dataset), format, manifest or {})
    except OSError as error:
        raise CannotWrite(out=out, why=error.strerror or error) from error


def _write(
    dataset: DataSet,
    kept: list[Sample],
    removed: Sequence[Mapping[str, Any]],
    out: Path,
    format: str,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    same = format in ("same", dataset.format)
    with whole_folder(out) as folder:
        files = (_copied if same else _converted)(dataset, kept, folder, format)
        files += _write_removed(removed, folder)
        facts = dict(manifest) | {
            MARK: 1,
            "format": dataset.format if same else format,
            "counts": {
                "records": dataset.size,
                "kept": len(kept),
                "removed": len(removed),
                **manifest.get("counts", {}),
            },
            "source_digest": dataset.digest,
            "files": {file.relative_to(folder).as_posix(): file_sha256(file) for file in files},
        }
        (folder / MANIFEST).write_text(json.dumps(facts, indent=1, default=_plain) + "\n", encoding="utf-8")
    return facts


def is_export(folder: Path) -> bool:
    """Whether we wrote this folder."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False  # no manifest, or something else of that name
    return isinstance(content, dict) and MARK in content


def csv_cell(value: Any) -> str:
    """A cell for spreadsheets, which would run a text beginning with one of these as a formula."""
    text = value if isinstance(value, str) else json.dumps(value, default=_plain)
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _kept(dataset: DataSet, keep: Collection[str]) -> list[Sample]:
    keep = set(keep)
    unknown = sorted(keep - dataset.by_id.keys())
    if unknown:
        raise UnknownIds(count=len(unknown), ids=", ".join(unknown[:LISTED]))
    if not keep:
        raise NothingToKeep()
    return [sample for sample in dataset.samples if sample.id in keep]


def _permitted(out: Path, dataset: DataSet) -> Path:
    out = Path(os.path.realpath(out))
    root = Path(os.path.realpath(dataset.root))
    if out == root or out in root.parents:
        raise OutIsSource(out=out)
    restore(out)
    if out.exists() and not (out.is_dir() and (is_export(out) or not any(out.iterdir()))):
        raise OutInUse(out=out)
    return out


def _copied(dataset: DataSet, kept: list[Sample], folder: Path, _: str) -> list[Path]:
    """The same records in the same kind of file, and the pictures at the same paths."""
    files = dataset.source.write([sample.index for sample in kept], folder)
    if dataset.info:
        entries = {name: {**entry, "file_name": files[0].name} for name, entry in dataset.info.items()}
        files.append(_write_json(folder / "dataset_info.json", entries))
    for sample in kept:
        for name in sample.images:
            if not name.startswith(images.EMBEDDED):
                _place(dataset, sample, name, folder)
    return files


def _converted(dataset: DataSet, kept: list[Sample], folder: Path, format: str) -> list[Path]:
    """The samples written anew, pictures from inside tables as files of their own."""
    form = FORMATS[format]
    records, refused = [], []
    for sample in kept:
        pictures = _pictures(dataset, sample, folder)
        id = dataset.draft(sample).id  # with its own type; the sample's id is always a text
        try:
            records.append(form.write(sample.id if id is None else id, sample.turns, pictures))
        except CannotConvert as error:
            refused.append((sample.id, error))
    if refused:
        ids = ", ".join(id for id, _ in refused[:LISTED])
        raise CannotConvertSome(count=len(refused), format=format, ids=ids, why=refused[0][1].problem)
    file = folder / form.file
    if file.suffix == ".jsonl":
        file.write_bytes(b"".join(_json(record) + b"\n" for record in records))
        return [file]
    file.write_bytes(b"[\n" + b",\n".join(_json(record) for record in records) + b"\n]\n")
    if (entry := form.dataset_info()) is None:
        return [file]
    return [file, _write_json(folder / "dataset_info.json", {"clean": entry})]


def _pictures(dataset: DataSet, sample: Sample, folder: Path) -> tuple[str, ...]:
    """Puts the sample's pictures into `folder`; returns their paths there."""
    names = []
    for k, name in enumerate(sample.images):
        if name.startswith(images.EMBEDDED):
            data = dataset.image_bytes(sample, k)
            name = f"images/{sample.index:06d}-{k}{images.suffix(data)}"
            while (folder / name).exists():  # a picture file of the source is called just like that
                name = name.replace("images/", "images/x", 1)
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        else:
            _place(dataset, sample, name, folder)
        names.append(name)
    return tuple(names)


def _place(dataset: DataSet, sample: Sample, name: str, folder: Path) -> None:
    """One picture file at the same path as in the source: a hard link if possible, else a copy."""
    normal = posixpath.normpath(name)
    # At the top, such a name would collide with what is written there or be taken for annotations on reading.
    if "/" not in normal and normal.casefold().endswith((*ANNOTATIONS, ".arrow")):
        raise ReservedName(name=name, id=sample.id)
    source, target = images.Folder(dataset.root).find(name), folder / name
    if target.exists():
        return  # several samples share it
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, a file system without links, another owner's file
        shutil.copyfile(source, target)


def _write_removed(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """For machines as JSON lines, for spreadsheets as CSV."""
    lines = folder / "removed.jsonl"
    lines.write_text("".join(json.dumps(dict(row), default=_plain) + "\n" for row in rows), encoding="utf-8")
    table = folder / "removed.csv"
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([csv_cell(column) for column in columns])
        writer.writerows([csv_cell(row.get(column, "")) for column in columns] for row in rows)
    return [lines, table]


def _write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    return path


def _json(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode("utf-8")


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and paths, as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{shown(value)} cannot be written as JSON")
