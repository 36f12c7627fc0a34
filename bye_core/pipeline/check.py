"""Loads and checks data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bye_core.data import DataSet, Markers, check_samples, load_dataset
from bye_core.errors import ByeError, DataError
from bye_core.models.families import FAMILIES
from bye_core.records import Progress, Sample


class NoSampleReady(DataError):
    problem = "None of the {size} records of {path} can be used."
    remedy = "Run `python -m bye_core check {path}` and fix the faults that it lists."


def ready(path: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> DataSet:
    """Load a data set. Raises: NoSampleReady if it has no usable sample."""
    dataset = load_dataset(path, format=format, columns=columns)
    if not dataset.samples:
        raise NoSampleReady(path=path, size=dataset.size)
    return dataset


def source_arguments(format: str | None, columns: Mapping[str, str] | None) -> list[str]:
    """Return the command-line arguments for a data set's format and columns, [] if both are detected automatically."""
    found = ["--format", format] if format else []
    return [*found, "--columns", *(f"{name}={yours}" for name, yours in columns.items())] if columns else found


def readable(dataset: DataSet) -> list[Sample]:
    """Return the samples whose pictures open. Every stage reports how many pictures fail; `check` lists the reasons."""
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


def check(data: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> Iterator[Progress]:
    """Check every record and picture. Each item's facts have the new `faults`; the last item's also a `summary`."""
    dataset = load_dataset(data, format=format, columns=columns)
    refused = sum(fault.fatal for fault in dataset.faults)
    total = len(dataset.samples)
    yield Progress("check", 0, total, facts={"faults": dataset.faults})
    for done, (_, faults) in enumerate(check_samples(dataset, known_markers()), start=1):
        refused += any(fault.fatal for fault in faults)
        yield Progress("check", done, total, facts={"faults": faults})
    summary = {"format": dataset.format, "records": dataset.size, "ready": dataset.size - refused, "refused": refused}
    yield Progress("check", total, total, "done", {"faults": (), "summary": summary})
