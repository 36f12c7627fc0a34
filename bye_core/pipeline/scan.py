"""Scans a data set: reads the attention of the first answer token, sample by sample, into a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from bye_core import runs
from bye_core.data import DataSet
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.errors import RunError, SettingError
from bye_core.model_protocol import UNLIMITED, PixelLimits, VisionLanguageModel
from bye_core.pipeline.batches import ScanBatch, missing_batches
from bye_core.pipeline.check import PARTS, ready, scanned_path
from bye_core.pipeline.open_batches import AUTOMATIC as AUTOMATIC_LOADERS
from bye_core.pipeline.open_batches import ahead, open_ahead, stored_jobs
from bye_core.pipeline.tasks import ScanTask, read_rows
from bye_core.records import AttentionRows, Fault, Progress, Sample
from bye_core.train.settings import trained_pixels, training_facts
from bye_core.workers import ONE_PROCESS, ModelFacts, ModelSource, Runner, WorkerSettings, open_model

if TYPE_CHECKING:
    from bye_core.attention.preparation import Job

# Samples a forward pass: enough to fill two CPU cores or a large GPU. A batch that does not fit is halved (ours).
BATCH = {"cpu": 16, "cuda": 32, "mps": 16}


@dataclass(frozen=True)
class ScanSettings:
    """How to scan. "auto" suits the machine; `batch` 0 is the batch size of an existing run, else suits the machine.

    answers  also read the likelihood of each sample's answer under the model, in the same forward pass. If the model
             before fine-tuning is known, a second pass reads the likelihood and the attention of that model
    tuned_on_this_data  the user says that the model was fine-tuned on this data set; the run stores this
    pixels   least and most pixels of a resized image; zeros are those of an existing run, else those with which the
             adapter was trained
    loaders  processes that decode and encode images ahead of the model; 0 for none, -1 for a number that suits the
             machine. Workers have none: each decodes the next batch while its model is busy
    workers  where the model runs
    """

    batch: int = 0
    device: str = "auto"
    dtype: str = "auto"
    answers: bool = False
    tuned_on_this_data: bool = False
    pixels: PixelLimits = UNLIMITED
    loaders: int = AUTOMATIC_LOADERS
    workers: WorkerSettings = ONE_PROCESS


class AdapterAndBefore(SettingError):
    problem = "An adapter and a model before fine-tuning are given. With an adapter, --model is the model before it."
    remedy = "Give only one of --adapter and --before."


class NothingScanned(RunError):
    problem = "None of {count} samples of {data} could be scanned. The first reason: {reason}"
    remedy = "Correct the model or the samples, then run the scan again. The run {run} lists the reason of each sample."


def scan(
    model: str,
    data: str | Path,
    run_path: Path,
    adapter: str | Path | None = None,
    settings: ScanSettings | None = None,
    reading: ReadingOptions = AUTOMATIC,
    before: str | Path | None = None,
) -> Iterator[Progress]:
    """Read the attention rows of every sample that the run does not hold yet. Saves each batch before it yields.

    Batches depend only on the data and the settings, and a batch is stored completely or not at all. So a resumed scan
    stores the same bytes as an uninterrupted scan. A sample that fails is stored as a fault. If only the likelihood
    of its answer cannot be read, the sample is scanned without it and gets a non-fatal fault. `before`: the model with
    which the full fine-tuning of `model` began; its answers are read too.

    Raises: NothingScanned if no sample could be scanned; RunMismatch if the run was made with other settings;
    AdapterAndBefore if both are given.
    """
    from bye_core.models.lengths import PromptLengths

    settings = settings or ScanSettings()
    if before is not None:
        if adapter is not None:
            raise AdapterAndBefore()
        settings = replace(settings, answers=True)
    dataset = ready(data, reading)
    if runs.is_run(run_path):
        settings = replace(settings, pixels=settings.pixels.or_else(runs.Run.open(run_path).settings.pixels))
    settings = replace(settings, pixels=settings.pixels.or_else(adapter_pixels(adapter)))
    tuned_with, before = (str(path) if path else None for path in (adapter, before))
    source = ModelSource(model, tuned_with, settings.device, settings.dtype, settings.pixels, before)
    with open_model(source, settings.workers) as runner:
        own = _run_settings(runner.facts, dataset, adapter, before, settings, run_path, reading)
        run = runs.Run.prepare(run_path, own, dataset.samples)
        run.remember(tuning=own.tuning, tuned_on_this_data=own.tuned_on_this_data or run.settings.tuned_on_this_data)
        total = len(dataset.samples)
        lengths = PromptLengths(runner.facts.processor, run.settings.answers)
        with run.writing(), ThreadPoolExecutor(1) as reader:
            run.append([], dataset.faults)
            scored = run.scored_ids()
            done = len(scored)
            yield _scan_progress(run, done, total)
            todo = missing_batches(dataset.samples, run.settings.batch_size, scored, dataset.image_sizes, lengths)
            how = run.settings.answers, settings.loaders, total - done
            for batch, rows, faults in _readings(runner, dataset, todo, reader, how):
                run.append(rows, faults)
                done += sum(sample.id not in scored for sample in batch)
                yield _scan_progress(run, done, total)
    if not run.counts().scored:
        reason = next((f"{fault.problem} {fault.remedy}" for fault in run.failed()), "unknown.")
        raise NothingScanned(count=f"{total:,}", data=data, reason=reason, run=run_path)


def _readings(
    runner: Runner, dataset: DataSet, todo: Iterable[ScanBatch], reader: Executor, how: tuple[bool, int, int]
) -> Iterator[tuple[Sequence[Sample], list[AttentionRows], list[Fault]]]:
    """Yield the samples of each batch with their rows and faults. `how`: answers, loaders, samples still to come."""
    if runner.loaded is None:
        for task, (rows, faults) in runner.map(ahead(reader, _tasks(dataset, todo, how[0]))):
            yield task.batch, rows, faults
        return
    rows, faults = [], []
    for opened in open_ahead(reader, dataset, todo, runner.loaded, *how):
        read, unread = read_rows(runner.loaded, opened.samples, opened.images, how[0], opened.encoded)
        rows, faults = rows + read, faults + opened.faults + unread
        if opened.batch is not None:
            yield opened.batch, rows, faults
            rows, faults = [], []


def _tasks(dataset: DataSet, todo: Iterable[ScanBatch], answers: bool) -> Iterator[ScanTask]:
    jobs: list[Job] = []
    for job in stored_jobs(dataset, todo, Lock()):
        jobs.append(job)
        if job.batch is not None:
            yield ScanTask(jobs, answers)
            jobs = []


def failed(run_path: Path) -> tuple[Fault, ...]:
    """Return one fault, with its reason, for each sample that the scan could not read."""
    return runs.Run.open(run_path).failed()


def _scan_progress(run: runs.Run, done: int, total: int) -> Progress:
    counts = run.counts()
    return Progress("scan", done, total, facts={"scored": counts.scored, "failed": counts.failed})


def _run_settings(
    facts: ModelFacts,
    dataset: DataSet,
    adapter: str | Path | None,
    before: str | None,
    settings: ScanSettings,
    run_path: Path,
    reading: ReadingOptions,
) -> runs.RunSettings:
    from bye_core.models.files import local_folder

    batch = settings.batch or BATCH[facts.device]
    answers = settings.answers
    if runs.is_run(run_path):
        own = runs.Run.open(run_path).settings
        batch, answers = settings.batch or own.batch_size, answers or own.answers
    return runs.RunSettings(
        model=facts.identity["model"],
        model_digest=facts.identity["model_digest"],
        adapter=str(adapter) if adapter else None,
        adapter_digest=facts.identity.get("adapter_digest"),
        before=before,
        before_digest=facts.identity.get("before_digest"),
        data=str(dataset.path),
        data_digest=dataset.digest,
        format=dataset.format,
        batch_size=batch,
        dtype=facts.dtype,
        device=facts.device,
        answers=answers,
        tuning=training_facts(local_folder(adapter)) if adapter else None,
        tuned_on_this_data=settings.tuned_on_this_data,
        more=_more(reading, model=facts.identity["model"], adapter=adapter, before=before, data=dataset.path),
        **asdict(settings.pixels),
    )


def adapter_pixels(adapter: str | Path | None) -> PixelLimits:
    """Return the pixel limits with which an adapter was trained; zeros without an adapter or without its card."""
    from bye_core.models.files import local_folder

    return trained_pixels(local_folder(adapter)) if adapter else UNLIMITED


def _more(reading: ReadingOptions, **paths: str | Path | None) -> dict[str, Any]:
    options = {name: value for name, value in reading.record().items() if name != "format"}
    return options | runs.relative_paths(**{name: str(path) if path else None for name, path in paths.items()})


class AnotherModel(RunError):
    problem = "The run was not scanned with {given} but with another {part}, so its statistics do not apply."
    remedy = "Give the {part} that was scanned ({path}), or scan and detect with the new {part} first."


def scanned_source(
    run: runs.Run,
    model: str | None = None,
    adapter: str | None = None,
    device: str = "auto",
    pixels: PixelLimits = UNLIMITED,
    before: str | None = None,
) -> ModelSource:
    """Return how to load the scanned model. `model`, `adapter`: their current paths, if they have moved.

    pixels  other pixel limits than those of the scan
    before  the model before full fine-tuning, if it is to be loaded, too; see `scanned_before`
    """
    settings = run.settings
    adapter = adapter or (scanned_path(settings, "adapter") if settings.adapter_digest else None)
    path = model or scanned_path(settings, "model")
    return ModelSource(path, adapter, device, settings.dtype, pixels.or_else(settings.pixels), before)


def scanned_before(run: runs.Run, before: str | None = None) -> str | None:
    """Return the model before full fine-tuning, None if there is none. `before`: its current path, if it has moved."""
    return (before or scanned_path(run.settings, "before")) if run.settings.before_digest else None


def check_scanned(run: runs.Run, identity: Mapping[str, Any], source: ModelSource) -> None:
    """Raise AnotherModel if a model or adapter of `source`, with this identity, is not the scanned one."""
    for part in ("model", "adapter", *(("before",) if source.before else ())):
        if identity[f"{part}_digest"] != getattr(run.settings, f"{part}_digest"):
            given = getattr(source, part) or run.settings.model
            raise AnotherModel(part=PARTS[part], given=given, path=getattr(run.settings, part))


def load_scanned(
    run: runs.Run,
    model: str | None = None,
    adapter: str | None = None,
    device: str = "auto",
    pixels: PixelLimits = UNLIMITED,
    before: str | None = None,
) -> VisionLanguageModel:
    """Load the scanned model in this process, as `scanned_source` says.

    Raises: AnotherModel if the model or adapter is not the scanned one.
    """
    source = scanned_source(run, model, adapter, device, pixels, before)
    loaded = source.load()
    check_scanned(run, loaded.identity, source)
    return loaded
