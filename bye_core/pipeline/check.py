"""Loads and checks data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bye_core import runs
from bye_core.data import DataSet, Markers, check_samples, load_dataset
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.data.set_index import IMAGES, TEXTS, forget_check, save_check, unfinished_check
from bye_core.errors import ByeError, DataError
from bye_core.models.families import FAMILIES
from bye_core.records import Progress, Sample

SAVED_EVERY = 5_000  # samples after which a check of a large set is saved (ours)
INDEX = "sets"  # the folder in BYE_HOME in which large sets are stored once they were read


class NoSampleReady(DataError):
    problem = "None of the {size} records of {path} can be used."
    remedy = "Run `python -m bye_core check {path}` and fix the faults that it lists."


# What a scan read, in words, by the name of its option.
PARTS = {"data": "data set", "model": "model", "adapter": "adapter", "before": "model before fine-tuning"}


class ScannedPathMissing(DataError):
    problem = "The {name} of the run is not at {path}. This path is relative to {folder}, where the scan ran."
    remedy = "Give the current path as --{option}."


def load(path: str | Path, reading: ReadingOptions = AUTOMATIC, check: str = "") -> DataSet:
    """Load a data set as the reading options say. A large set is read once; before a `check`, it is read again."""
    index = None if runs.hosted() else runs.home() / INDEX
    return load_dataset(
        path, reading.format, reading.columns, split=reading.split, question=reading.question,
        strict_ids=reading.strict_ids, index=index, check=check,
    )  # fmt: skip


def ready(path: str | Path, reading: ReadingOptions = AUTOMATIC) -> DataSet:
    """Load a data set. Raises: NoSampleReady if it has no usable sample."""
    dataset = load(path, reading)
    if not dataset.samples:
        raise NoSampleReady(path=path, size=dataset.size)
    return dataset


def scanned_reading(settings: runs.RunSettings) -> ReadingOptions:
    """Return how the data set of a run was read. The format is the one that was found."""
    return ReadingOptions.from_record(settings.more, settings.format)


def reopen_set(settings: runs.RunSettings, data: str | Path | None = None) -> DataSet:
    """Load the data set of a run again, as it was read for the scan. `data`: its current path, if it has moved.

    Raises: ScannedPathMissing if the set is not where the run says.
    """
    return load(data or scanned_path(settings, "data"), scanned_reading(settings))


def scanned_path(settings: runs.RunSettings, name: str) -> str:
    """Return the path of the scanned "data", "model", "adapter" or "before" (the model before full fine-tuning).

    Raises: ScannedPathMissing if the path is relative to the folder of the scan, and nothing is there.
    """
    path, folder = getattr(settings, name), settings.more.get("folder")
    if name in settings.more.get("relative", ()) and not os.path.exists(path):
        raise ScannedPathMissing(name=PARTS[name], path=path, folder=folder, option=name)
    return path


def readable(dataset: DataSet) -> list[Sample]:
    """Return the samples whose images open. Every stage reports how many images fail; `check` lists the reasons."""
    return [sample for sample in dataset.samples if _opens(dataset, sample)]


def _opens(dataset: DataSet, sample: Sample) -> bool:
    try:
        dataset.images(sample)
    except ByeError:
        return False
    return True


def known_markers() -> Markers:
    """Return the marker strings of all model families' chat templates: for images, roles and control tokens."""
    families = FAMILIES.values()
    return Markers.of(
        image=[marker for family in families for marker in family.image_markers],
        chat=[marker for family in families for marker in family.chat_markers],
    )


def check(data: str | Path, reading: ReadingOptions = AUTOMATIC, images: bool = True) -> Iterator[Progress]:
    """Check every record and image. Each item's facts have the new `faults`; the last item's also a `summary`.

    Without `images`, checks that the images are there and does not open them. A check of a large set that was stopped
    resumes where it was.
    """
    name = IMAGES if images else TEXTS
    dataset = load(data, reading, name)
    start, found = unfinished_check(dataset.index, name)
    done, faults, total = start, list(found), len(dataset.samples)
    yield Progress("check", done, total, facts={"faults": (*dataset.faults, *faults)})
    try:
        for done, (_, fault) in enumerate(check_samples(dataset, known_markers(), images, start), start=start + 1):
            faults += [fault] if fault else []
            if done % SAVED_EVERY == 0:
                save_check(dataset.index, name, done, faults)
            yield Progress("check", done, total, facts={"faults": (fault,) if fault else ()})
    finally:
        if start < done < total:
            save_check(dataset.index, name, done, faults)
    forget_check(dataset.index, name)
    refused = len(dataset.faults) + sum(fault.fatal for fault in faults)
    summary = {"format": dataset.format, "records": dataset.size, "ready": dataset.size - refused, "refused": refused}
    summary |= {"notes": dataset.notes}
    yield Progress("check", total, total, "done", {"faults": (), "summary": summary})
