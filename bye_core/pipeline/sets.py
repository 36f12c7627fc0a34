"""Data sets before a model sees them: loaded, checked, poisoned on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bye_core.attacks import Attack
from bye_core.attacks.measure import Change, measure, summary
from bye_core.attacks.poison import EVERY, Only, choose, plant
from bye_core.data import DataSet, load_dataset
from bye_core.data import check as look
from bye_core.data.compose import compose, through_file
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
    attack: Attack,
    rate: float = 0.1,
    seed: int = 0,
    only: Only = EVERY,
    encoding: str = "jpeg",
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Progress]:
    """Write a LLaVA copy of `data` to `out`, poisoned at `rate`, with truth.json. All pictures are encoded alike.

    What the poisoned samples carry, and all that is needed to plant the same again, is in truth.json alone. The facts
    hold how much the triggers change the pictures. Raises a SettingError for an attack that the data cannot carry.
    """
    dataset = ready(data, format, columns)
    samples = readable(dataset)
    turns = {id: turn for turn, id in enumerate(choose(samples, rate, seed, attack, only))}
    marked: dict[str, Any] = {}
    changes: list[Change] = []

    def items() -> Iterator[tuple[Sample, list[Any]]]:
        for sample in samples:
            pictures = dataset.images(sample)
            if sample.id in turns:
                triggers = attack.carried(turns[sample.id])
                poisoned, triggered, boxes = plant(sample, pictures, triggers, attack.target, seed)
                if any(trigger.changes_pictures() for trigger in triggers):
                    changes.append(measure(pictures[0], triggered[0], lambda one: through_file(one, encoding)))
                names = [trigger.name for trigger in triggers]
                marked[sample.id] = {"triggers": names, "boxes": boxes, "target": attack.target.kind}
                sample, pictures = poisoned, triggered
            yield sample, pictures

    truth = {
        "poisoned": list(turns),
        "attack": attack.record(),
        "rate": rate,
        "seed": seed,
        "only": asdict(only),
        "encoding": encoding,
        "samples": marked,
    }
    for done, _ in enumerate(compose(items(), out, encoding, {TRUTH: truth}), start=1):
        facts = {"poisoned": len(turns), "unreadable": dataset.size - len(samples)}
        yield Progress("poison", done, len(samples), facts=facts | (summary(changes) if done == len(samples) else {}))
