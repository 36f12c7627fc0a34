"""Checks a training before its first step: usable samples, token lengths, steps, and an estimate of the memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from bye_core.errors import ByeError
from bye_core.model_protocol import Images, ModelFamily, OpenImages, VisionLanguageModel
from bye_core.records import Fault, Sample
from bye_core.train import fsdp
from bye_core.train.collate import answer_spans
from bye_core.train.errors import NoAnswer, NothingToLearnFrom, TooLong
from bye_core.train.settings import FinetuneSettings

LISTED = 20
SIZES_KEPT = 4096
# LoRA's weights, their gradients and AdamW's two moments, all in float32 for any data type of the model.
BYTES_PER_TRAINED_WEIGHT = 16


@dataclass(frozen=True)
class Stack:
    """Sizes of a stack of transformer layers; `tokens` is the number of tokens that it processes for one sample."""

    layers: int
    hidden: int
    inner: int
    tokens: int


@dataclass(frozen=True)
class Lengths:
    """Least, median and most tokens in the whole chat of a usable sample, images included.

    `limit` is the most tokens that the model accepts; None if its config states no limit.
    """

    least: int
    median: int
    most: int
    limit: int | None


@dataclass(frozen=True)
class Memory:
    """Memory of one process, in bytes.

    weights  the model's weights
    adapter  LoRA's weights, their gradients and the optimizer's state
    step     activations and logits of one step
    free     memory that the device has free for all of these
    """

    weights: int
    adapter: int
    step: int
    free: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.step


@dataclass(frozen=True)
class Preflight:
    """The result of the checks before a training.

    samples  the samples that can be learned
    faults   for every other sample, the reason why it cannot be learned
    trained  number of LoRA weights
    frozen_experts  whether the model has experts, which LoRA leaves unchanged here
    steps    number of optimizer steps
    split    with FSDP: the number of processes, and the split layers by class; otherwise empty
    """

    samples: tuple[Sample, ...]
    faults: tuple[Fault, ...]
    lengths: Lengths
    memory: Memory
    trained: int
    steps: int
    frozen_experts: bool = False
    split: dict[str, Any] = field(default_factory=dict)

    def facts(self, already_left_out: Sequence[Fault] = ()) -> dict[str, Any]:
        """Return the result as JSON values. `already_left_out`: records that cannot be used as samples."""
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
            **({"frozen_experts": True} if self.frozen_experts else {}),
            **({"fsdp": self.split} if self.split else {}),
        }


def run_preflight(
    loaded: VisionLanguageModel,
    samples: Sequence[Sample],
    images: OpenImages,
    settings: FinetuneSettings,
    processes: int = 1,
) -> Preflight:
    """Open every sample and count its tokens, without training; `processes` is the number of training processes.

    Raises: NothingToLearnFrom if no sample can be learned.
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
        weights=fsdp.weight_bytes(loaded.model, processes if settings.fsdp else 1),
        adapter=BYTES_PER_TRAINED_WEIGHT * trained // (processes if settings.fsdp else 1),
        step=step_bytes(loaded, settings, lengths.most, samples_in_memory(settings, processes)),
        free=free_bytes(loaded.device),
    )
    steps, experts = count_steps(len(usable), settings), loaded.family.has_fused_experts(loaded.model)
    split = {"processes": processes, "layers": fsdp.layer_classes(loaded.model)} if settings.fsdp else {}
    return Preflight(tuple(usable), tuple(faults), lengths, estimate, trained, steps, experts, split)


class TokenCounter:
    """Counts the tokens of a sample as the collator encodes it. Encodes only one blank image per image size."""

    def __init__(self, family: ModelFamily) -> None:
        self.family = family
        self.added = lru_cache(SIZES_KEPT)(self._added)

    def __call__(self, sample: Sample, images: Images) -> int:
        """Return the number of tokens.

        Raises: NoAnswer if the sample has no answer; another ByeError if the sample cannot be encoded.
        """
        text, spans = answer_spans(sample, self.family.chat, self.family.render)
        if not spans:
            raise NoAnswer(id=sample.id)
        order = self.family.render(sample.turns, generation=False).images
        return self._text_tokens(text) + self.added(tuple(images[n].size for n in order))

    def _added(self, sizes: tuple[tuple[int, int], ...]) -> int:
        """Return how many tokens images of these sizes need in addition to the tokens of their markers."""
        if not sizes:
            return 0
        # Behind the start token, which some processors add if it is missing.
        markers = (self.family.processor.tokenizer.bos_token or "") + self.family.image_token * len(sizes)
        blank = [Image.new("RGB", size) for size in sizes]
        return self.family.encode([markers], [blank])["input_ids"].shape[1] - self._text_tokens(markers)

    def _text_tokens(self, text: str) -> int:
        adds = self.family.adds_special_tokens(text)
        return len(self.family.processor.tokenizer(text, add_special_tokens=adds)["input_ids"])


def count_steps(samples: int, settings: FinetuneSettings) -> int:
    """Return the number of optimizer steps of the training, as the Trainer counts them."""
    return math.ceil(settings.epochs * math.ceil(samples / settings.batch))


def samples_in_memory(settings: FinetuneSettings, processes: int) -> int:
    """Return how many samples one process holds in memory at once. `batch` must be a multiple of `processes`."""
    return math.gcd(settings.batch // processes, settings.micro_batch)


def trained_weights(loaded: VisionLanguageModel, settings: FinetuneSettings) -> int:
    """Return the number of LoRA weights: two matrices of width `rank` for every adapted linear layer."""
    names = loaded.family.lora_targets(loaded.model, projector=settings.projector, tower=settings.vision)
    layers = (loaded.model.get_submodule(name) for name in names)
    return sum(settings.rank * (layer.in_features + layer.out_features) for layer in layers)


def step_bytes(loaded: VisionLanguageModel, settings: FinetuneSettings, tokens: int, samples: int) -> int:
    """Return the bytes of activations and logits for `samples` samples of `tokens` tokens each."""
    text, vision = loaded.family.config.get_text_config(), loaded.family.config.vision_config
    stacks = [Stack(text.num_hidden_layers, text.hidden_size, inner_size(text), tokens)]
    if settings.vision:
        stacks.append(tower_stack(vision, tokens))
    element = torch.finfo(loaded.dtype).bits // 8
    options = (samples, element, settings.dropout > 0, settings.gradient_checkpointing)
    kept = sum(activation_bytes(stack, *options) for stack in stacks)
    return kept + logit_bytes(text.vocab_size, tokens, samples, element)


def inner_size(text: Any) -> int:
    """Return the inner width of a decoder's feed-forward layers; 4 times the hidden width if its config names none."""
    inner = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    return max(inner) if isinstance(inner, (list, tuple)) else inner


def tower_stack(vision: Any, tokens: int) -> Stack:
    """Return the sizes of the vision tower for a sample of `tokens` tokens; the names in `vision` differ by family.

    A tower without a fixed image size sees at most 2 x 2 patches for each token (ours: most towers merge so many).
    """
    layers, hidden = (
        next(value for name in names if (value := getattr(vision, name, None)) is not None)
        for names in (("num_hidden_layers", "depth", "num_layers"), ("hidden_size", "embed_dim"))
    )
    side = getattr(vision, "image_size", None)
    patches = (side // vision.patch_size) ** 2 if isinstance(side, int) else 4 * tokens
    return Stack(layers, hidden, getattr(vision, "intermediate_size", None) or 4 * hidden, patches)


def free_bytes(device: torch.device) -> int:
    """Return the free memory of the device; the model's own weights, already loaded, count as free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory()
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss


def activation_bytes(stack: Stack, samples: int, element: int, dropout: bool, checkpointing: bool) -> int:
    """Return the bytes kept for the backward pass of `samples` samples (our count, after Korthikanti et al. 2022).

    Per token, a layer stores the inputs of its seven linear modules and the values between them. These are 14 vectors
    of the hidden width and 4 of the inner width, with `element` bytes per value. LoRA's dropout adds a copy of the
    seven inputs. With checkpointing, only the input of every layer is stored, and one layer at a time is recomputed.
    """
    inputs = 6 * stack.hidden + stack.inner
    one_layer = 14 * stack.hidden + 4 * stack.inner + (inputs if dropout else 0)
    kept = stack.layers * stack.hidden + one_layer if checkpointing else stack.layers * one_layer
    return samples * stack.tokens * kept * element


def logit_bytes(vocabulary: int, tokens: int, samples: int, element: int) -> int:
    """Return the bytes of the logits and their gradient in the model's data type, and of three copies in float32.

    The loss makes these copies: logits, gradient and softmax.
    """
    return samples * tokens * vocabulary * (2 * element + 12)
