"""Checks a training before its first step: usable samples, token lengths, steps, and an estimate of the memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from bye_core.errors import ByeError
from bye_core.model_protocol import Images, ModelFamily, OpenImages, VisionLanguageModel
from bye_core.records import Fault, Sample
from bye_core.train.collate import answer_spans
from bye_core.train.errors import NoAnswer, NothingToLearnFrom, TooLong
from bye_core.train.settings import FinetuneSettings

LISTED = 20
SIZES_KEPT = 4096
# LoRA's weights, their gradients and AdamW's two moments, all in float32 whatever the model's number type is.
BYTES_PER_TRAINED_WEIGHT = 16


@dataclass(frozen=True)
class Stack:
    """Transformer layers of one width; `tokens` of one sample pass through them."""

    layers: int
    hidden: int
    inner: int
    tokens: int


@dataclass(frozen=True)
class Lengths:
    """Tokens of the usable samples' whole chats, images included; `limit` of the model, None if it has none."""

    least: int
    median: int
    most: int
    limit: int | None


@dataclass(frozen=True)
class Memory:
    """Bytes in one process: the model's weights, LoRA with its optimizer state, one step's activations, free memory."""

    weights: int
    adapter: int
    step: int
    free: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.step


@dataclass(frozen=True)
class Preflight:
    """`samples` can be learned; `faults` give the reasons why the others cannot. `trained`: number of LoRA weights."""

    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...]
    lengths: Lengths
    memory: Memory
    trained: int
    steps: int

    def facts(self, already_left_out: Sequence[Fault] = ()) -> dict[str, Any]:
        """Return the result as JSON values; `already_left_out` are records that did not become samples."""
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


def run_preflight(
    loaded: VisionLanguageModel,
    samples: Sequence[Sample],
    images: OpenImages,
    settings: FinetuneSettings,
    processes: int = 1,
) -> Preflight:
    """Open every sample and count its tokens, without training; `processes` share a batch.

    Raises: NothingToLearnFrom.
    """
    counter = TokenCounter(loaded.family)
    limit = loaded.family.token_limit
    usable, faults, tokens = [], [], []
    for sample in samples:
        try:
            count = counter(sample, images(sample))
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
        adapter=BYTES_PER_TRAINED_WEIGHT * trained,
        step=step_bytes(loaded, settings, lengths.most, samples_in_memory(settings, processes)),
        free=free_bytes(loaded.device),
    )
    return Preflight(tuple(usable), tuple(faults), lengths, estimate, trained, count_steps(len(usable), settings))


class TokenCounter:
    """Counts the tokens of a sample as the collator encodes it. Encodes blank images, once for each size."""

    def __init__(self, family: ModelFamily) -> None:
        self.family = family
        self.added = lru_cache(SIZES_KEPT)(self._added)

    def __call__(self, sample: Sample, images: Images) -> int:
        """Return the number of tokens. Raises: a ByeError if the sample cannot be learned."""
        text, spans = answer_spans(sample, self.family.chat)
        if not spans:
            raise NoAnswer(id=sample.id)
        order = self.family.render(sample.turns, generation=False).images
        return self._text_tokens(text) + self.added(tuple(images[n].size for n in order))

    def _added(self, sizes: tuple[tuple[int, int], ...]) -> int:
        """Return how many tokens the processor adds for images of these sizes, their markers excluded."""
        if not sizes:
            return 0
        markers = self.family.image_token * len(sizes)
        blank = [Image.new("RGB", size) for size in sizes]
        return self.family.encode([markers], [blank])["input_ids"].shape[1] - self._text_tokens(markers)

    def _text_tokens(self, text: str) -> int:
        adds = self.family.adds_special_tokens(text)
        return len(self.family.processor.tokenizer(text, add_special_tokens=adds)["input_ids"])


def count_steps(samples: int, settings: FinetuneSettings) -> int:
    """Return the optimizer steps of the training, as the Trainer counts them."""
    return math.ceil(settings.epochs * math.ceil(samples / settings.batch))


def samples_in_memory(settings: FinetuneSettings, processes: int) -> int:
    """Return how many samples one process holds at once. `batch` is a multiple of `processes`."""
    return math.gcd(settings.batch // processes, settings.micro_batch)


def trained_weights(loaded: VisionLanguageModel, settings: FinetuneSettings) -> int:
    """Return the number of LoRA weights: two matrices of width `rank` for every adapted linear layer."""
    names = loaded.family.lora_targets(loaded.model, projector=settings.projector, tower=settings.vision)
    layers = (loaded.model.get_submodule(name) for name in names)
    return sum(settings.rank * (layer.in_features + layer.out_features) for layer in layers)


def step_bytes(loaded: VisionLanguageModel, settings: FinetuneSettings, tokens: int, samples: int) -> int:
    """Return the bytes of activations and logits for `samples` samples of `tokens` tokens each."""
    text, vision = loaded.family.config.get_text_config(), loaded.family.config.vision_config
    stacks = [Stack(text.num_hidden_layers, text.hidden_size, text.intermediate_size, tokens)]
    if settings.vision:
        patches = (vision.image_size // vision.patch_size) ** 2
        stacks.append(Stack(vision.num_hidden_layers, vision.hidden_size, vision.intermediate_size, patches))
    element = torch.finfo(loaded.dtype).bits // 8
    options = (samples, element, settings.dropout > 0, settings.gradient_checkpointing)
    kept = sum(activation_bytes(stack, *options) for stack in stacks)
    return kept + logit_bytes(text.vocab_size, tokens, samples, element)


def free_bytes(device: torch.device) -> int:
    """Return the free memory of the device; the model's own weights, already loaded, count as free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss


def activation_bytes(stack: Stack, samples: int, element: int, dropout: bool, checkpointing: bool) -> int:
    """Return the bytes kept for the backward pass of `samples` samples (our count, after Korthikanti et al. 2022).

    Per token, a layer keeps the inputs of its seven linear layers and the values between them: 14 widths and 4 inner
    widths of `element` bytes; with LoRA's dropout a second copy of the seven inputs. With checkpointing, only the input
    of every layer is kept, and one layer at a time is computed again.
    """
    inputs = 6 * stack.hidden + stack.inner
    one_layer = 14 * stack.hidden + 4 * stack.inner + (inputs if dropout else 0)
    kept = stack.layers * stack.hidden + one_layer if checkpointing else stack.layers * one_layer
    return samples * stack.tokens * kept * element


def logit_bytes(vocabulary: int, tokens: int, samples: int, element: int) -> int:
    """Return the bytes of logits and their gradient in the model's type, both in float32 for the loss, and softmax."""
    return samples * tokens * vocabulary * (2 * element + 12)
