"""Data sets before a model sees them: loaded, checked, poisoned on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core import attacks
from bye_core.attacks.poison import choose, plant
from bye_core.data import DataSet, load_dataset
from bye_core.data import check as look
from bye_core.data.compose import compose
from bye_core.errors import ByeError, DataError
from bye_core.records import Progress, Sample

TRUTH = "truth.json"


class NoSampleReady(DataError):
    problem = "None of the {size} records of {path} can be used."
    remedy = "Run `python -m bye_core check {path}` and mend the faults that it lists."


def ready(path: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> DataSet:
    """A data set with at least one usable sample. Raises NoSampleReady."""
    dataset = load_dataset(path, format=format, columns=columns)
    if not dataset.samples:
        raise NoSampleReady(path=path, size=dataset.size)
    return dataset


def source_arguments(format: str | None, columns: Mapping[str, str] | None) -> list[str]:
    """How the command line is told of a data set's format and columns; [] where both are found by themselves."""
    found = ["--format", format] if format else []
    return [*found, "--columns", *(f"{name}={yours}" for name, yours in columns.items())] if columns else found


def readable(dataset: DataSet) -> list[Sample]:
    """The samples whose pictures open. How many do not is part of every stage's facts; `check` gives the reasons."""
    return [sample for sample in dataset.samples if _opens(dataset, sample)]


def _opens(dataset: DataSet, sample: Sample) -> bool:
    try:
        dataset.images(sample)
    except ByeError:
        return False
    return True


def check(data: str | Path, format: str | None = None, columns: Mapping[str, str] | None = None) -> Iterator[Progress]:
    """Look at every record and picture; each item's facts hold the new `faults`, the last item's also a `summary`."""
    dataset = load_dataset(data, format=format, columns=columns)
    refused = sum(fault.fatal for fault in dataset.faults)
    total = len(dataset.samples)
    yield Progress("check", 0, total, facts={"faults": dataset.faults})
    for done, (_, faults) in enumerate(look(dataset), start=1):
        refused += any(fault.fatal for fault in faults)
        yield Progress("check", done, total, facts={"faults": faults})
    summary = {"format": dataset.format, "records": dataset.size, "ready": dataset.size - refused, "refused": refused}
    yield Progress("check", total, total, "done", {"faults": (), "summary": summary})


def poison(
    data: str | Path,
    out: Path,
    trigger: str = "patch",
    rate: float = 0.1,
    target: str = "Backdoor Attack!",
    seed: int = 0,
    size: float = 1 / 16,
    encoding: str = "jpeg",
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Progress]:
    """Write a LLaVA copy of `data` to `out`, poisoned at `rate`, with truth.json. All pictures are encoded alike."""
    dataset, kind = ready(data, format, columns), attacks.make_trigger(trigger, size)
    samples = readable(dataset)
    chosen, boxes = choose(samples, rate, seed), {}

    def items() -> Iterator[tuple[Sample, list[Any]]]:
        for sample in samples:
            pictures = dataset.images(sample)
            if sample.id in chosen:
                sample, pictures, boxes[sample.id] = plant(sample, pictures, kind, target, seed)
            yield sample, pictures

    settings = {"trigger": trigger, "size": size, "rate": rate, "target": target, "seed": seed, "boxes": boxes}
    truth = {"poisoned": [sample.id for sample in samples if sample.id in chosen], **settings}
    for done, _ in enumerate(compose(items(), out, encoding, {TRUTH: truth}), start=1):
        yield Progress(
            "poison", done, len(samples), facts={"poisoned": len(chosen), "unreadable": dataset.size - len(samples)}
        )
