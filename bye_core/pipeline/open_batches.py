"""Decodes the images of batches ahead of the model, in a thread or in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from bye_core.data import DataSet, sample_fault
from bye_core.data.images import EMBEDDED_PREFIX, decode_sample
from bye_core.errors import ByeError
from bye_core.model_protocol import Images, VisionLanguageModel
from bye_core.pipeline.batches import ScanBatch
from bye_core.records import Fault, Sample

if TYPE_CHECKING:
    from bye_core.attention.preparation import Job

AUTOMATIC = -1
# On a GPU, one process that decodes and encodes 100 images a second a core serves a model of 1 ms a sample with eight
# processes (ours). On a CPU, the model uses all cores, and more processes only take them from it.
MOST_WORKERS = 8
# Samples from which the workers' start, ten seconds or more of imports, pays off by itself (ours).
WORTH_WORKERS = 5_000


@dataclass(frozen=True)
class OpenedSamples:
    """Samples of one batch whose images are decoded together.

    images   by sample id; none for samples whose images do not open, which have a fault
    batch    all samples of the batch, if these are its last ones
    encoded  the samples as a worker process encoded them, if there are workers
    """

    samples: Sequence[Sample]
    images: Mapping[str, Images]
    faults: list[Fault]
    batch: Sequence[Sample] | None
    encoded: Any = None


def worker_count(wanted: int, loaded: VisionLanguageModel, answers: bool, samples: int = WORTH_WORKERS) -> int:
    """Return the number of worker processes; 0 if they cannot encode for this model, or would not help.

    `wanted` is the number that the user gave, or AUTOMATIC; `samples` is the number of samples to come.
    """
    from bye_core.attention.preparation import can_travel

    if not wanted or not can_travel(loaded.family) or (answers and not loaded.family.answer_keeps_rows):
        return 0
    if wanted != AUTOMATIC:
        return wanted
    if loaded.device.type == "cpu" or samples < WORTH_WORKERS:
        return 0
    return min(MOST_WORKERS, max(1, (os.cpu_count() or 1) - 1))


def open_ahead(
    reader: Executor,
    dataset: DataSet,
    batches: Iterable[ScanBatch],
    loaded: VisionLanguageModel,
    answers: bool = False,
    workers: int = AUTOMATIC,
    samples: int = WORTH_WORKERS,
) -> Iterator[OpenedSamples]:
    """Yield the samples of the batches, group by group, with their images; prepare the next ones meanwhile.

    reader   a single thread, which reads files, and decodes images if there are no workers
    answers  whether the answers are read too
    samples  the number of samples in the batches
    """
    count = worker_count(workers, loaded, answers, samples)
    if not count:
        return ahead(reader, open_batches(dataset, batches))
    return _open_in_workers(reader, dataset, batches, loaded, answers, count)


def open_batches(dataset: DataSet, batches: Iterable[ScanBatch]) -> Iterator[OpenedSamples]:
    """Decode the images of the batches, group by group. Samples with the same images one after another share them."""
    for samples, batch in _groups(batches):
        images, faults = _shared(samples, dataset.images)
        yield OpenedSamples(samples, images, faults, batch)


def decode_job(job: Job) -> tuple[Mapping[str, Images], list[Fault]]:
    """Decode the images of a job, in a worker process; return (images by sample id, faults)."""
    known = [sample for sample in job.samples if sample.id in job.stored]
    return _shared(known, lambda sample: decode_sample(zip(sample.images, job.stored[sample.id], strict=True)))


Item = TypeVar("Item")


def ahead(reader: Executor, items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items`; `reader` prepares the next one while the caller works on the current one."""
    future = reader.submit(next, items, None)
    while (item := future.result()) is not None:
        future = reader.submit(next, items, None)
        yield item


def _groups(batches: Iterable[ScanBatch]) -> Iterator[tuple[Sequence[Sample], Sequence[Sample] | None]]:
    """Yield (samples that are decoded together, all samples of the batch if these are its last ones)."""
    for batch in batches:
        for group in batch.groups:
            yield batch.samples[group.start : group.stop], batch.samples if group is batch.groups[-1] else None


def _shared(samples: Sequence[Sample], read: Any) -> tuple[dict[str, Any], list[Fault]]:
    """Return (what `read` returns, by sample id, faults); samples with the same images one after another share it."""
    values, faults = {}, []
    names: tuple[str, ...] = ()
    value: Any = None
    for sample in samples:
        try:
            if not names or sample.images != names:
                # Names of embedded images are those within their own records.
                embedded = any(name.startswith(EMBEDDED_PREFIX) for name in sample.images)
                value, names = read(sample), () if embedded else sample.images
            values[sample.id] = value
        except ByeError as error:
            names = ()
            faults.append(sample_fault(sample, error))
    return values, faults


@dataclass(frozen=True)
class _PendingImages(Sequence[Image.Image]):
    """The images of a sample, decoded when they are used: only if a batch must be encoded again."""

    dataset: DataSet
    sample: Sample
    lock: Lock
    decoded: list[Image.Image] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sample.images)

    def __getitem__(self, index: Any) -> Any:
        if not self.decoded:
            with self.lock:
                self.decoded.extend(self.dataset.images(self.sample))
        return self.decoded[index]


def _open_in_workers(
    reader: Executor,
    dataset: DataSet,
    batches: Iterable[ScanBatch],
    loaded: VisionLanguageModel,
    answers: bool,
    workers: int,
) -> Iterator[OpenedSamples]:
    from bye_core.attention.preparation import Preparation, prepare

    lock = Lock()
    preparation = Preparation(loaded.family, answers, decode_job)
    for job, prepared in prepare(preparation, ahead(reader, stored_jobs(dataset, batches, lock)), workers):
        faults = job.faults + prepared.broken
        failed = {fault.id for fault in faults}
        images = {one.id: _PendingImages(dataset, one, lock) for one in job.samples if one.id not in failed}
        yield OpenedSamples(job.samples, images, faults, job.batch, prepared.encoded)


def stored_jobs(dataset: DataSet, batches: Iterable[ScanBatch], lock: Lock) -> Iterator[Job]:
    """Yield the groups of the batches with the stored bytes of their images; `lock` guards the files."""
    from bye_core.attention.preparation import Job

    def read(sample: Sample) -> list[bytes]:
        return [dataset.image_bytes(sample, k) for k in range(len(sample.images))]

    for samples, batch in _groups(batches):
        with lock:
            stored, faults = _shared(samples, read)
        yield Job(samples, stored, faults, batch)
