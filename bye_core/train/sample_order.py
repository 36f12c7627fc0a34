"""Which sample is learned when: one order, however many processes share it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import Dataset, Sampler

from bye_core.records import Sample

FILLER = -1


class SampleList(Dataset):
    """Samples as a torch data set; pictures are opened by the collator. FILLER is a question without an answer."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Sample:
        if place != FILLER:
            return self.samples[place]
        turns = self.samples[0].turns
        first = next(n for n, turn in enumerate(turns) if turn.role == "assistant")
        return replace(self.samples[0], turns=turns[:first])


class EvenOrder(Sampler[int]):
    """The order that one process takes, filled up with FILLER so that every process gets as many batches.

    accelerate would fill up with samples from the beginning, which then count twice. A question carries no label: it
    adds nothing to the loss, which is a mean over the answers' tokens in all processes.
    """

    def __init__(self, samples: SampleList, seed: int, multiple: int) -> None:
        self.order = SeedableRandomSampler(samples, data_seed=seed)
        self.filled = -len(samples) % multiple

    def __len__(self) -> int:
        return len(self.order) + self.filled

    def __iter__(self) -> Iterator[int]:
        yield from self.order
        for _ in range(self.filled):
            yield FILLER

    def set_epoch(self, epoch: int) -> None:
        self.order.set_epoch(epoch)
