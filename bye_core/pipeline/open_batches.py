"""Decodes the images of batches, one group of samples ahead of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from bye_core.data import DataSet, sample_fault
from bye_core.data.images import EMBEDDED_PREFIX
from bye_core.errors import ByeError
from bye_core.pipeline.batches import ScanBatch
from bye_core.records import Fault, Sample


@dataclass(frozen=True)
class OpenedSamples:
    """Samples of one batch whose images are decoded together.

    images  by sample id; none for samples whose images do not open, which have a fault
    batch   all samples of the batch, if these are its last ones
    """

    samples: Sequence[Sample]
    images: Mapping[str, list[Any]]
    faults: list[Fault]
    batch: Sequence[Sample] | None


def open_batches(dataset: DataSet, batches: Iterable[ScanBatch]) -> Iterator[OpenedSamples]:
    """Decode the images of the batches, group by group. Samples with the same images one after another share them."""
    names: tuple[str, ...] = ()
    pictures: list[Any] = []
    for batch in batches:
        for group in batch.groups:
            samples, images, faults = batch.samples[group.start : group.stop], {}, []
            for sample in samples:
                try:
                    if not names or sample.images != names:
                        pictures, names = dataset.images(sample), _shared_names(sample)
                    images[sample.id] = pictures
                except ByeError as error:
                    names = ()
                    faults.append(sample_fault(sample, error))
            yield OpenedSamples(samples, images, faults, batch.samples if group is batch.groups[-1] else None)


def _shared_names(sample: Sample) -> tuple[str, ...]:
    """Return the names of the sample's images; () if they name images only within its own record."""
    return () if any(name.startswith(EMBEDDED_PREFIX) for name in sample.images) else sample.images


def ahead(reader: Executor, items: Iterator[OpenedSamples]) -> Iterator[OpenedSamples]:
    """Yield `items`; `reader` prepares the next one while the model processes the current one."""
    future = reader.submit(next, items, None)
    while (item := future.result()) is not None:
        future = reader.submit(next, items, None)
        yield item
