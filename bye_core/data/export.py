"""Exports a cleaned data set: the kept records, their images, a list of what was removed, and a manifest."""

from __future__ import annotations

import csv
import heapq
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bye_core.data.dataset import DataSet
from bye_core.data.export_images import ExportImages
from bye_core.data.faults import Refusal
from bye_core.data.folders import atomic_folder, restore_backup
from bye_core.data.formats import FORMATS, NoSuchFormat, Reader
from bye_core.data.formats.base import CannotConvert
from bye_core.data.renaming import NotRenamed, Renaming
from bye_core.files import file_sha256, to_json_values
from bye_core.records import Sample
from bye_core.sample_file import chosen, indices_of

MANIFEST = "manifest.json"
MANIFEST_KEY = "bye_export"  # marks a manifest as ours; its value is the version of the manifest
LISTED = 5  # ids that a message lists


class UnknownIds(Refusal):
    problem = "{count} of the ids to keep do not belong to usable samples of the data set, for example {ids}."
    remedy = "Keep only ids of scanned samples; records with a fatal fault cannot be exported."


class NothingToKeep(Refusal):
    problem = "The export would keep no sample, and an empty data set cannot be used."
    remedy = "Accept at least one sample."


class OutInUse(Refusal):
    problem = "{out} exists and is not an earlier export; it was not replaced."
    remedy = "Name a new or empty folder."


class OutIsSource(Refusal):
    problem = "Writing to {out} would replace the data set itself."
    remedy = "Name a folder outside the data set."


class CannotWrite(Refusal):
    problem = "{out} cannot be written: {why}. Nothing was replaced."
    remedy = "Free disk space or name another folder, then export again."


class CannotConvertSome(Refusal):
    problem = "{count} samples cannot be converted to the format {format}, for example {ids}: {why}"
    remedy = "Export in the same format, which always works, or leave these samples out."


class NotPortable(Refusal):
    problem = (
        "{count} of the kept samples name their images by paths that hold only where the data set is now, for example "
        "sample {id}: {path}. In this kind of file, paths cannot be changed."
    )
    remedy = "Export in another format, for example with --format chat, which writes relative paths."


@dataclass(frozen=True)
class Kept:
    """The samples that an export writes, in file order: usable samples, and records without an image."""

    samples: Sequence[Sample]
    unscanned: Sequence[Sample]

    @property
    def indices(self) -> list[int]:
        return sorted((*indices_of(self.samples), *indices_of(self.unscanned)))

    def in_order(self) -> Iterator[Sample]:
        return heapq.merge(self.samples, self.unscanned, key=lambda sample: sample.index)


def export(
    dataset: DataSet,
    keep: Collection[str],
    removed: Sequence[Mapping[str, Any]],
    out: str | Path,
    format: str = "same",
    manifest: Mapping[str, Any] | None = None,
    unscanned: Collection[str] = (),
) -> dict[str, Any]:
    """Write the samples `keep` to the folder `out`, which appears only after it is complete. Return the manifest.

    keep       ids of the samples to write
    removed    rows to write to removed.jsonl and removed.csv
    out        a new or empty folder, or an earlier export, which is replaced
    format     "same" copies the records, and changes only paths of images that would not lead to the exported images;
               a name in FORMATS converts the records
    manifest   more facts for the manifest; its `counts` are added to the counts of the export
    unscanned  ids of records without an image to write too; a format that cannot hold one leaves it out
    Raises: DataError if the export is refused or cannot be written; an earlier export is then unchanged.
    """
    if format != "same" and format not in FORMATS:
        raise NoSuchFormat(format=format, valid=", ".join(("same", *FORMATS)))
    also = set(unscanned)
    kept = Kept(_kept_samples(dataset, keep), chosen(dataset.text_only, also))
    try:
        return _write(dataset, kept, removed, _checked_out(Path(out), dataset), format, manifest or {})
    except OSError as error:
        raise CannotWrite(out=out, why=error.strerror or error) from error


def _write(
    dataset: DataSet,
    kept: Kept,
    removed: Sequence[Mapping[str, Any]],
    out: Path,
    format: str,
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    same = format in ("same", dataset.format)
    left_out: list[dict[str, Any]] = []
    with atomic_folder(out) as folder:
        if same:
            files = _copy_records(dataset, kept, folder)
        else:
            files, left_out = _convert_records(dataset, kept, folder, format)
        rows = sorted((*removed, *left_out), key=lambda row: row.get("index", 0)) if left_out else removed
        files += _write_removed(rows, folder)
        unscanned = len(kept.unscanned) - len(left_out)
        counts = {"records": dataset.size, "kept": len(kept.samples) + unscanned, "removed": len(rows)}
        counts |= {"kept_unscanned": unscanned} if unscanned else {}
        facts = dict(manifest) | {
            MANIFEST_KEY: 1,
            "format": dataset.format if same else format,
            "counts": counts | manifest.get("counts", {}),
            "source_digest": dataset.digest,
            "files": {file.relative_to(folder).as_posix(): file_sha256(file) for file in files},
        }
        (folder / MANIFEST).write_text(json.dumps(to_json_values(facts), indent=1) + "\n", encoding="utf-8")
    return facts


def is_export(folder: Path) -> bool:
    """Return whether `export` wrote this folder."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False  # there is no manifest, or the file is not ours
    return isinstance(content, dict) and MANIFEST_KEY in content


def csv_cell(value: Any) -> str:
    """Return a CSV cell that spreadsheets do not run as a formula: a text that looks like one gets an apostrophe."""
    text = value if isinstance(value, str) else json.dumps(to_json_values(value))
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _kept_samples(dataset: DataSet, keep: Collection[str]) -> Sequence[Sample]:
    ids = set(keep)
    unknown = sorted(ids.difference(dataset.by_id), key=str)
    if unknown:
        raise UnknownIds(count=len(unknown), ids=", ".join(map(str, unknown[:LISTED])))
    if not ids:
        raise NothingToKeep()
    return chosen(dataset.samples, ids)


def _checked_out(out: Path, dataset: DataSet) -> Path:
    """Return the real path of `out`.

    Raises: OutIsSource if writing there would replace the data set; OutInUse if it holds something else than an export.
    """
    out = Path(os.path.realpath(out))
    root = Path(os.path.realpath(dataset.root))
    if out == root or out in root.parents:
        raise OutIsSource(out=out)
    restore_backup(out)
    if out.exists() and not (out.is_dir() and (is_export(out) or not any(out.iterdir()))):
        raise OutInUse(out=out)
    return out


def _copy_records(dataset: DataSet, kept: Kept, folder: Path) -> list[Path]:
    """Write the same records in a file of the same kind, and their images where the records name them.

    Return the written files. Paths that would not lead to the copied images, such as absolute ones, become relative.
    """
    images = ExportImages(dataset, folder)
    names = {sample.index: changed for sample in kept.samples if (changed := images.copy_named(sample))}
    read = Reader(FORMATS[dataset.format], dataset.layout).read
    first = next((sample for sample in kept.samples if sample.index in names), None)
    refusal = first and NotPortable(count=len(names), id=first.id, path=next(iter(names[first.index])))
    if refusal and not dataset.source.renames:
        raise refusal
    try:
        renamings = {index: Renaming(changed, read) for index, changed in names.items()}
        files = dataset.source.write(kept.indices, folder, renamings)
    except NotRenamed as error:
        raise refusal or error from error
    if dataset.info:
        entries = {name: {**entry, "file_name": files[0].name} for name, entry in dataset.info.items()}
        files.append(_write_json(folder / "dataset_info.json", entries))
    return files


def _convert_records(
    dataset: DataSet, kept: Kept, folder: Path, format: str
) -> tuple[list[Path], list[dict[str, Any]]]:
    """Write the samples in another format; images embedded in records become files.

    Return (the written files, rows of removed.jsonl for records without an image that the format cannot hold).
    """
    form, images = FORMATS[format], ExportImages(dataset, folder)
    records, refused, left_out = [], [], []
    for sample in kept.in_order():
        names = images.copy_all(sample)
        id = dataset.parsed_record(sample).id  # in its original type; the id of a sample is always text
        try:
            usable = isinstance(id, str | int | float) and not isinstance(id, bool)
            records.append(form.write(id if usable else sample.id, sample.turns, names))
        except CannotConvert as error:
            if sample.images:
                refused.append((sample.id, error))
            else:
                reason = f"not scanned: the record names no image, and the format {format} needs one"
                left_out.append({"id": sample.id, "index": sample.index, "reason": reason})
    if refused:
        ids = ", ".join(id for id, _ in refused[:LISTED])
        raise CannotConvertSome(count=len(refused), format=format, ids=ids, why=refused[0][1].problem)
    files = [_write_records(records, folder / form.file)]
    if (entry := form.dataset_info()) is not None:
        files.append(_write_json(folder / "dataset_info.json", {"clean": entry}))
    return files, left_out


def _write_records(records: Iterable[Mapping[str, Any]], file: Path) -> Path:
    """Write records as JSON lines or as one JSON array, depending on the file's suffix."""
    lines = [json.dumps(record, ensure_ascii=False).encode("utf-8") for record in records]
    if file.suffix == ".jsonl":
        file.write_bytes(b"".join(line + b"\n" for line in lines))
    else:
        file.write_bytes(b"[\n" + b",\n".join(lines) + b"\n]\n")
    return file


def _write_removed(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write the removed rows as JSON lines, and as CSV for spreadsheets."""
    lines = folder / "removed.jsonl"
    lines.write_text("".join(json.dumps(to_json_values(row)) + "\n" for row in rows), encoding="utf-8")
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
