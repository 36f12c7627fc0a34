"""Chooses the order of the samples in a training: the same order for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import Dataset, Sampler

from bye_core.records import Sample

FILLER = -1


class SampleList(Dataset):
    """Samples as a torch data set; the collator opens the images. Index FILLER returns a sample without an answer."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        if index != FILLER:
            return self.samples[index]
        turns = self.samples[0].turns
        first_answer = next(n for n, turn in enumerate(turns) if turn.role == "assistant")
        return replace(self.samples[0], turns=turns[:first_answer])


class EvenSampler(Sampler[int]):
    """Yields the sample indices in random order, then FILLER until their number is a multiple of `multiple`.

    So every process gets the same number of batches. accelerate would repeat the first samples instead, which would
    count twice. A filler has no label, so it does not change the loss, which is a mean over the answer tokens.
    """

    def __init__(self, samples: SampleList, seed: int, multiple: int) -> None:
        self.order = SeedableRandomSampler(samples, data_seed=seed)
        self.fillers = -len(samples) % multiple

    def __len__(self) -> int:
        return len(self.order) + self.fillers

    def __iter__(self) -> Iterator[int]:
        yield from self.order
        for _ in range(self.fillers):
            yield FILLER

    def set_epoch(self, epoch: int) -> None:
        self.order.set_epoch(epoch)
