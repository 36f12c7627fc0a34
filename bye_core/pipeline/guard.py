"""Guards a model: compares its attention on new images with that on the poisoned samples of a finished run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bye_core import guard, runs
from bye_core.data import images
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.detect import DEFAULT, PAPER
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.planted_answers import PlantedAnswers
from bye_core.errors import ByeError, RunError
from bye_core.intervals import as_facts, proportion
from bye_core.model_protocol import UNLIMITED, PixelLimits
from bye_core.pipeline.check import ready
from bye_core.pipeline.detect import detect_scan, last_detection
from bye_core.pipeline.scan import BATCH, check_scanned, load_scanned, scanned_source
from bye_core.pipeline.tasks import RowsTask, chunks, stored_images
from bye_core.records import POISONED, AttentionRows, Detection, Progress, Sample, ScanTable, Turn
from bye_core.workers import InProcess, Runner, WorkerSettings, open_model

# Maps the attention rows and the questions of samples to one reading per sample.
Judge = Callable[[Sequence[AttentionRows], Sequence[str]], list[guard.Reading]]


class CannotWriteReadings(RunError):
    problem = "The readings cannot be written to {path}: {reason}."
    remedy = "Give another file as --out."


class Guard:
    """The detection of a run and the scanned model. Create it with `open_guard` or `guard_in_workers`."""

    def __init__(self, runner: Runner, detection: Detection, judge: Judge) -> None:
        self.runner = runner
        self.detection = detection
        self._judge = judge

    @property
    def batch(self) -> int:
        return BATCH[self.runner.facts.device]

    def read(
        self, samples: Sequence[Sample], opened: Sequence[Sequence[Any]]
    ) -> list[tuple[AttentionRows, guard.Reading] | ByeError]:
        """Run one forward pass over the batch, in this process.

        Return one entry per sample: its attention rows and its reading, or the error of that sample.
        """
        from bye_core.attention import read_attention

        assert self.runner.loaded is not None, "workers hold the model"
        return self.judged(samples, read_attention(self.runner.loaded, samples, opened))

    def judged(
        self, samples: Sequence[Sample], outcomes: Sequence[AttentionRows | ByeError]
    ) -> list[tuple[AttentionRows, guard.Reading] | ByeError]:
        """Return the rows of each sample with their reading, or its error."""
        rows = [outcome for outcome in outcomes if isinstance(outcome, AttentionRows)]
        asked = {sample.id: sample.question for sample in samples}
        readings = iter(self._judge(rows, [asked[outcome.id] for outcome in rows]) if rows else ())
        return [(outcome, next(readings)) if isinstance(outcome, AttentionRows) else outcome for outcome in outcomes]


def open_guard(
    run_path: Path,
    model: str | None = None,
    adapter: str | None = None,
    device: str = "auto",
    pixels: PixelLimits = UNLIMITED,
) -> Guard:
    """Open the guard of a run. `model`, `adapter`: their current paths, if they have moved.

    `pixels`: least and most pixels of a resized image; zeros are those of the scan.

    Raises: NothingDetected if the run has no detection; guard.NoMode if the detection found no poisoning;
    AnotherModel if `model` or `adapter` is not the scanned one.
    """
    run = runs.Run.open(run_path)
    how = _detection_and_judge(run)
    return Guard(InProcess(load_scanned(run, model, adapter, device, pixels)), *how)


@contextmanager
def guard_in_workers(
    run_path: Path,
    workers: WorkerSettings,
    model: str | None = None,
    adapter: str | None = None,
    device: str = "auto",
    pixels: PixelLimits = UNLIMITED,
) -> Iterator[Guard]:
    """Open the guard of a run as `open_guard`, with the model in `workers`, which end with the context."""
    run = runs.Run.open(run_path)
    how, source = _detection_and_judge(run), scanned_source(run, model, adapter, device, pixels)
    with open_model(source, workers) as runner:
        check_scanned(run, runner.facts.identity, source)
        yield Guard(runner, *how)


def _detection_and_judge(run: runs.Run) -> tuple[Detection, Judge]:
    detection, table = guard_detection(run), run.table()
    judge = by_answers(table, detection) if detection.method == DEFAULT else _by_entropy(table, detection)
    return detection, judge


def by_answers(table: ScanTable, detection: Detection) -> Judge:
    """Return a judge that works as the method auto: by the first token and the heads that mark planted answers.

    Raises: NoMode if the detection found no poisoning; NoPattern if only the causal check flagged samples.
    """
    planted = PlantedAnswers(table, AutoSettings(**detection.settings))
    if not len(planted):
        raise guard.NoPattern() if detection.verdict == POISONED else guard.NoMode()
    return lambda rows, questions: [guard.reading_of(**asdict(match)) for match in planted.match(rows, questions)]


def _by_entropy(table: ScanTable, detection: Detection) -> Judge:
    """Return a judge that works as BYE: by the mean entropy of the sensitive layers."""
    unit, variant = detection.entropy_unit, guard.variant(detection)
    typical = _means(np.asarray(table.with_unit(unit).layer_entropies(variant), float))

    def judge(rows: Sequence[AttentionRows], questions: Sequence[str]) -> list[guard.Reading]:
        return guard.judge(detection, _entropies(rows, unit, variant), typical)

    return judge


def _entropies(rows: Sequence[AttentionRows], unit: str, variant: str) -> np.ndarray:
    """Return the layer entropies [M, L] of M samples in the unit and the variant of a detection."""
    names = ("layer_entropy", "layer_entropy_reference", "image_tokens")
    arrays: dict[str, Any] = {name: np.array([getattr(sample, name) for sample in rows], float) for name in names}
    return ScanTable(tuple(sample.id for sample in rows), **arrays, entropy_unit=unit).layer_entropies(variant)


def guard_detection(run: runs.Run) -> Detection:
    """Return the detection that a guard uses: the last detection if auto or BYE made it, else a new one by auto.

    Raises: NothingDetected if the run has no detection; guard.NotTested if nothing could have been found; guard.NoMode
    if no poisoning was found.
    """
    detection = last_detection(run)
    if detection.method not in (DEFAULT, PAPER):
        detection = detect_scan(run, run.table())
    guard.check_detection(detection)
    return detection


def _means(entropies: np.ndarray) -> np.ndarray:
    """Return each layer's mean over its finite entropies: [N, L] -> [L]; NaN for a layer without finite entropies."""
    known = np.isfinite(entropies)
    counts = known.sum(axis=0)
    return np.divide(
        np.where(known, entropies, 0).sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0
    )


def guard_one(opened: Guard, content: bytes, question: str, name: str = "the image") -> dict[str, Any]:
    """Read the attention on one image (the bytes of its file); return the reading and its `attention` as facts.

    Raises: a DataError if the image cannot be used; a ModelError if the model cannot read the sample.
    """
    from bye_core.figures import overlay_payload

    sample = Sample(name, 0, (Turn("user", (0, question)),), (name,))
    (outcome,) = opened.read([sample], [[images.decode(content, name)]])
    if isinstance(outcome, ByeError):
        raise outcome
    rows, reading = outcome
    return {
        **asdict(reading),
        "question": question,
        "first_token": rows.token_text,
        "probability": rows.probability,
        **_reference(opened.detection),
        "attention": overlay_payload(rows),
    }


def guard_set(
    opened: Guard,
    data: str | Path,
    out: Path | None = None,
    reading: ReadingOptions = AUTOMATIC,
) -> Iterator[Progress]:
    """Read every sample of a set; the last item's facts hold the share that looks triggered, with its interval.

    Writes one JSON line per sample to `out`, right after reading it. Counts and lists the samples that fail.
    """
    dataset = ready(data, reading)
    samples, total = dataset.samples, len(dataset.samples)
    readings: dict[str, dict[str, Any]] = {}
    faults: dict[str, str] = {fault.id: fault.problem for fault in dataset.faults if fault.fatal}
    if out is not None:
        _append(out, [], truncate=True)
    tasks = (RowsTask(batch, stored_images(dataset, batch)) for batch in chunks(samples, opened.batch))
    done = 0
    for task, outcomes in opened.runner.map(tasks):
        fresh = {}
        for sample, outcome in zip(task.samples, opened.judged(task.samples, outcomes), strict=True):
            if isinstance(outcome, ByeError):
                faults[sample.id] = outcome.problem
            else:
                fresh[sample.id] = {"question": sample.question, **asdict(outcome[1])}
        if out is not None:
            _append(out, [{"id": id, **row} for id, row in fresh.items()])
        readings |= fresh
        done += len(task.samples)
        yield Progress("guard", done, total, facts={"failed": len(faults)})
    yield Progress("guard", total, total, "done", _summary(opened, readings, faults))


def _summary(opened: Guard, readings: Mapping[str, Mapping[str, Any]], faults: Mapping[str, str]) -> dict[str, Any]:
    triggered = [id for id, row in readings.items() if row["triggered"]]
    return {
        "samples": len(readings),
        "triggered": triggered,
        "unknown": [id for id, row in readings.items() if not row["known"]],
        **as_facts("share", proportion(row["triggered"] for row in readings.values())),
        "scores": {id: row["score"] for id, row in readings.items()},
        "values": {id: row["value"] for id, row in readings.items()},
        **_reference(opened.detection),
        "failed": len(faults),
        "faults": dict(faults),
    }


def _reference(detection: Detection) -> dict[str, Any]:
    """Return, as facts, the reference values that readings are compared with."""
    return {
        "layers": list(detection.sensitive_layers),
        "modes": asdict(detection.final) if detection.final else None,
        "cutoff": detection.cutoff,
        "settings": dict(detection.settings),
    }


def _append(out: Path, rows: Sequence[Mapping[str, Any]], truncate: bool = False) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w" if truncate else "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    except OSError as error:
        raise CannotWriteReadings(path=out, reason=error.strerror or error) from error
