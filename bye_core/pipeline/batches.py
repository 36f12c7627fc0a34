"""Cuts a data set into batches of samples with prompts of similar length, so that little of a batch is padding.

The batches depend on the data and the settings alone. So a resumed scan makes the same batches as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from bye_core.data.images import group_by_pixels
from bye_core.records import Sample

# Batches whose samples are sorted together. With image tokens spread evenly from 64 to 1,024, a window of 16 batches
# wastes 4% of the positions; a larger one gains little, and a scan would finish samples far from their order (ours).
WINDOW = 16

# Sizes (width, height) of a sample's images, and the number of tokens of a sample whose images have these sizes.
Sizes = Sequence[tuple[int, int]]
ImageSizes = Callable[[Sample], Sizes]
Length = Callable[[Sample, Sizes], int]


@dataclass(frozen=True)
class ScanBatch:
    """Samples that are stored together, in data set order, and the index ranges of those decoded together."""

    samples: Sequence[Sample]
    groups: Sequence[range]


def cut(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Cut the indices of `lengths` into batches of at most `size` indices with similar lengths.

    The indices of a batch are in order, and the batches are in the order of their first indices.
    """
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    return sorted(sorted(order[start : start + size]) for start in range(0, len(order), size))


def padding_share(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> float:
    """Return the share of positions that are padding if each batch is padded to its longest sample."""
    positions = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    return 1 - sum(lengths[index] for batch in batches for index in batch) / positions if positions else 0.0


def missing_batches(
    samples: Sequence[Sample], size: int, scored: Collection[str], image_sizes: ImageSizes, length: Length
) -> Iterator[ScanBatch]:
    """Yield the batches of `size` samples with at least one sample whose id is not in `scored`.

    Reads the headers of the images of a window only if one of its samples is missing.
    """
    for start in range(0, len(samples), size * WINDOW):
        window = samples[start : start + size * WINDOW]
        if all(sample.id in scored for sample in window):
            continue
        sizes = [image_sizes(sample) for sample in window]
        for batch in cut([length(sample, own) for sample, own in zip(window, sizes, strict=True)], size):
            if any(window[index].id not in scored for index in batch):
                pixels = [sum(width * height for width, height in sizes[index]) for index in batch]
                yield ScanBatch([window[index] for index in batch], group_by_pixels(pixels))
