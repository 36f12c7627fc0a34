"""Decodes and encodes samples in worker processes, ahead of the model."""

from __future__ import annotations

import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler

from bye_core.attention.read import QuestionBatch, encode_batch
from bye_core.attention.with_answers import encode_with_answers
from bye_core.model_protocol import Images, ModelFamily
from bye_core.records import Fault, Sample

# Groups of samples that each worker may prepare ahead (ours).
PREFETCH = 2


@dataclass(frozen=True)
class Job:
    """Samples to prepare together.

    stored  by sample id: the bytes of its images as they are stored; `faults` are those of samples without bytes
    batch   all samples of the batch, if these are its last ones
    """

    samples: Sequence[Sample]
    stored: Mapping[str, Sequence[bytes]]
    faults: list[Fault]
    batch: Sequence[Sample] | None = None


@dataclass(frozen=True)
class Prepared:
    """The encoded samples of a job; None if the process of the model must encode them, to tell what is wrong.

    `broken` are the faults of the samples whose images cannot be decoded.
    """

    encoded: QuestionBatch | None
    broken: list[Fault]


Decode = Callable[[Job], tuple[Mapping[str, Images], list[Fault]]]


class Preparation(Dataset[Prepared]):
    """Prepares jobs; its copies work in the worker processes. `decode` must be a function of a module."""

    def __init__(self, family: ModelFamily, answers: bool, decode: Decode) -> None:
        self.family, self.answers, self.decode = family, answers, decode

    def __getitem__(self, job: Job) -> Prepared:
        images, broken = self.decode(job)
        good = [sample for sample in job.samples if sample.id in images]
        encode = encode_with_answers if self.answers else encode_batch
        try:
            encoded = encode(self.family, good, [images[sample.id] for sample in good]) if good else None
        except Exception:  # noqa: BLE001 - the process of the model encodes them again and reports the error
            encoded = None
        return Prepared(encoded, broken)


class _Jobs(Sampler[Job]):
    """Hands the jobs to the workers, and remembers those whose results are still to come."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = iter(jobs)
        self.waiting: deque[Job] = deque()

    def __iter__(self) -> Iterator[Job]:
        for job in self.jobs:
            self.waiting.append(job)
            yield job


def can_travel(family: ModelFamily) -> bool:
    """Return whether a worker process can encode for this family: it needs no model, and can be sent there."""
    if family.needs_model:
        return False
    try:
        pickle.dumps(family)
    except (pickle.PicklingError, TypeError, AttributeError):
        return False
    return True


def prepare(preparation: Preparation, jobs: Iterable[Job], workers: int) -> Iterator[tuple[Job, Prepared]]:
    """Yield each job with its result, in order. `workers` processes prepare the next jobs meanwhile.

    The processes are started afresh (spawn), because this one may use a GPU. If one of them is killed, this process
    prepares the remaining jobs.
    """
    queue = _Jobs(jobs)
    loader = DataLoader(
        preparation,
        sampler=queue,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH,
        multiprocessing_context="spawn",
        collate_fn=_unchanged,
        worker_init_fn=_ignore_stop,
    )
    results = _started(loader)
    while True:
        try:
            prepared = next(results, None)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            break
        if prepared is None:
            return
        yield queue.waiting.popleft(), prepared
    for job in chain(list(queue.waiting), queue.jobs):
        yield job, preparation[job]


def _started(loader: DataLoader[Prepared]) -> Iterator[Prepared]:
    """Start the workers. If one of them is killed, only `next` reports it.

    Otherwise torch would raise the error in the middle of whatever this process does then, such as saving a batch.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        return iter(loader)
    former = signal.getsignal(signal.SIGCHLD)
    try:
        return iter(loader)
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if former is None else former)


def _ignore_stop(_: int) -> None:
    """Let the process of the model end the workers. Terminals and clusters send their signals to all processes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _unchanged(prepared: Any) -> Any:
    return prepared
