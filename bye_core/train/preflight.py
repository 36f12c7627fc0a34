"""Before the first step: which samples can be learned and why not the others, how long they are, what it will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from bye_core.errors import ByeError
from bye_core.records import Fault, Sample
from bye_core.train import memory
from bye_core.train.collate import answer_spans
from bye_core.train.errors import NoAnswer, NothingToLearnFrom, TooLong
from bye_core.train.settings import FinetuneSettings

LISTED = 20
SIZES_KEPT = 4096


@dataclass(frozen=True)
class Lengths:
    """Tokens of the usable samples' whole chats, pictures included; `limit` is the model's, None where it has none."""

    least: int
    median: int
    most: int
    limit: int | None


@dataclass(frozen=True)
class Memory:
    """Bytes in one process: the model's weights, LoRA with its optimizer state, what a step adds, what is free."""

    weights: int
    adapter: int
    step: int
    free: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.step


@dataclass(frozen=True)
class Preflight:
    """`samples` can be learned, `faults` tell why the others cannot."""

    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...]
    lengths: Lengths
    memory: Memory
    trained: int
    steps: int

    def facts(self, already_left_out: Sequence[Fault] = ()) -> dict[str, Any]:
        """The same as plain values; `already_left_out` are records that never became samples."""
        faults = [*already_left_out, *self.faults]
        kinds = sorted({fault.kind for fault in faults})
        return {
            "samples": len(self.samples),
            "left_out": len(faults),
            "reasons": {kind: sum(fault.kind == kind for fault in faults) for kind in kinds},
            "faults": [asdict(fault) for fault in faults[:LISTED]],
            "steps": self.steps,
            "tokens": asdict(self.lengths),
            "trained_weights": self.trained,
            "memory": {**asdict(self.memory), "total": self.memory.total},
        }


def look(
    loaded: Any,
    samples: Sequence[Sample],
    pictures: Callable[[Sample], list[Image.Image]],
    settings: FinetuneSettings,
    processes: int = 1,
) -> Preflight:
    """Open, lay out and count every sample; nothing is trained. `processes` share a batch.

    Raises NothingToLearnFrom.
    """
    counter = TokenCounter(loaded.family)
    limit = loaded.family.token_limit
    usable, faults, tokens = [], [], []
    for sample in samples:
        try:
            count = counter(sample, pictures(sample))
            if limit and count > limit:
                raise TooLong(id=sample.id, tokens=count, limit=limit)
        except ByeError as error:
            faults.append(Fault(sample.id, sample.index, error.kind, error.problem, error.remedy))
            continue
        usable.append(sample)
        tokens.append(count)
    if not usable:
        raise NothingToLearnFrom()
    lengths = Lengths(min(tokens), int(np.median(tokens)), max(tokens), limit)
    trained = trained_weights(loaded, settings)
    estimate = Memory(
        weights=sum(weight.numel() * weight.element_size() for weight in loaded.model.parameters()),
        adapter=memory.adapter_bytes(trained),
        step=step_bytes(loaded, settings, lengths.most, per_step(settings, processes)),
        free=free_bytes(loaded.device),
    )
    return Preflight(tuple(usable), tuple(faults), lengths, estimate, trained, steps_of(len(usable), settings))


class TokenCounter:
    """Tokens of a sample as the collator will encode it: the pictures' are counted once for every size."""

    def __init__(self, family: Any) -> None:
        self.family = family
        self.added = lru_cache(SIZES_KEPT)(self._added)

    def __call__(self, sample: Sample, pictures: Sequence[Image.Image]) -> int:
        """Raises what makes the sample unfit to be learned."""
        text, spans = answer_spans(sample, self.family.chat)
        if not spans:
            raise NoAnswer(id=sample.id)
        order = self.family.render(sample.turns, generation=False).images
        return self._plain(text) + self.added(tuple(pictures[n].size for n in order))

    def _added(self, sizes: tuple[tuple[int, int], ...]) -> int:
        """How many more tokens the processor makes of that many picture markers."""
        if not sizes:
            return 0
        markers = self.family.image_token * len(sizes)
        blank = [Image.new("RGB", size) for size in sizes]
        return self.family.encode([markers], [blank])["input_ids"].shape[1] - self._plain(markers)

    def _plain(self, text: str) -> int:
        adds = self.family.adds_special_tokens(text)
        return len(self.family.processor.tokenizer(text, add_special_tokens=adds)["input_ids"])


def steps_of(samples: int, settings: FinetuneSettings) -> int:
    """Optimizer steps of a whole training, as transformers' Trainer counts them."""
    return math.ceil(settings.epochs * math.ceil(samples / settings.batch))


def per_step(settings: FinetuneSettings, processes: int) -> int:
    """Samples in one process's memory at once. `batch` is a multiple of `processes`."""
    return math.gcd(settings.batch // processes, settings.micro_batch)


def trained_weights(loaded: Any, settings: FinetuneSettings) -> int:
    """LoRA's numbers: two matrices of width `rank` for every linear layer adapted."""
    names = loaded.family.lora_targets(loaded.model, projector=settings.projector, tower=settings.vision)
    linear = (loaded.model.get_submodule(name) for name in names)
    return sum(settings.rank * (one.in_features + one.out_features) for one in linear)


def step_bytes(loaded: Any, settings: FinetuneSettings, tokens: int, samples: int) -> int:
    """Activations and logits of `samples` samples of `tokens` tokens each."""
    text, vision = loaded.family.config.get_text_config(), loaded.family.config.vision_config
    stacks = [memory.Stack(text.num_hidden_layers, text.hidden_size, text.intermediate_size, tokens)]
    if settings.vision:
        seen = (vision.image_size // vision.patch_size) ** 2
        stacks.append(memory.Stack(vision.num_hidden_layers, vision.hidden_size, vision.intermediate_size, seen))
    element = torch.finfo(loaded.dtype).bits // 8
    how = (samples, element, settings.dropout > 0, settings.gradient_checkpointing)
    kept = sum(memory.activation_bytes(stack, *how) for stack in stacks)
    return kept + memory.logit_bytes(text.vocab_size, tokens, samples, element)


def free_bytes(device: torch.device) -> int:
    """What the device has left; the model's own weights, which are there already, count as free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss
