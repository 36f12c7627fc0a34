"""One batch of samples -> what the first answer token of each looks at; what fails, fails alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature

from bye_core.attention.batch_statistics import BatchStatistics
from bye_core.attention.capture import LastRowCapture
from bye_core.attention.errors import NonFiniteAttention, OutOfMemory, PromptTooLong, SampleFailed, UnreadableAttention
from bye_core.attention.head_input import HeadInput
from bye_core.errors import ByeError
from bye_core.process import is_out_of_memory
from bye_core.records import AttentionRows, Grid, Sample

Pictures = Sequence[Image.Image]
Outcome = AttentionRows | ByeError
# What processors and models raise on input that they cannot take.
INPUT_ERRORS = (ValueError, TypeError, KeyError, IndexError, RuntimeError, OSError, OverflowError, ArithmeticError)


@dataclass(frozen=True)
class Batch:
    """Samples that could be encoded, with the group of every position and the grids of every sample."""

    samples: Sequence[Sample]
    images: Sequence[Pictures]
    inputs: BatchFeature
    groups: np.ndarray
    grids: Sequence[tuple[Grid, ...]]


def read_attention(loaded: Any, samples: Sequence[Sample], images: Sequence[Pictures]) -> list[Outcome]:
    """One forward pass over a batch -> one AttentionRows or ByeError a sample, in order.

    `loaded` is a models.LoadedModel, `images[i]` the RGB pictures of `samples[i]`. The questions are fed, never the
    answers. A batch that does not fit into memory is halved; a sample that cannot be read is returned as its error.
    Raises UnreadableAttention where the model itself is at fault.
    """
    if not samples:
        return []
    try:
        batch = prepare(loaded, samples, images)
    except ByeError as error:
        return [error] if len(samples) == 1 else without_bad(loaded, samples, images)
    return forward(loaded, batch)


def prepare(loaded: Any, samples: Sequence[Sample], images: Sequence[Pictures]) -> Batch:
    family = loaded.family
    first = samples[0].id
    try:
        prompts = [family.question(sample) for sample in samples]
        shown = [[pictures[n] for n in prompt.images] for prompt, pictures in zip(prompts, images, strict=True)]
        inputs = family.encode([prompt.text for prompt in prompts], shown, padding_side="left")
        spans = [family.token_groups(inputs, i, samples[i], images[i]) for i in range(len(samples))]
    except INPUT_ERRORS as error:
        raise SampleFailed(id=first, reason=f"{type(error).__name__}: {error}") from error
    limit = getattr(loaded.base.config.get_text_config(), "max_position_embeddings", None)
    for sample, tokens in zip(samples, inputs["attention_mask"].sum(dim=1).tolist(), strict=True):
        if limit and tokens > limit:
            raise PromptTooLong(id=sample.id, tokens=tokens, limit=limit)
    return Batch(samples, images, inputs, np.stack([groups for groups, _ in spans]), [grids for _, grids in spans])


def without_bad(loaded: Any, samples: Sequence[Sample], images: Sequence[Pictures]) -> list[Outcome]:
    """Finds the samples that cannot be encoded and reads the others together."""
    faults: dict[int, ByeError] = {}
    for i, (sample, pictures) in enumerate(zip(samples, images, strict=True)):
        try:
            prepare(loaded, [sample], [pictures])
        except ByeError as error:
            faults[i] = error
    good = [i for i in range(len(samples)) if i not in faults]
    # Samples that fail only together (it should not happen) are read one by one.
    groups = [good] if faults else [[i] for i in good]
    outcomes: dict[int, Outcome] = dict(faults)
    for group in groups:
        rows = read_attention(loaded, [samples[i] for i in group], [images[i] for i in group])
        outcomes.update(zip(group, rows, strict=True))
    return [outcomes[i] for i in range(len(samples))]


def forward(loaded: Any, batch: Batch) -> list[Outcome]:
    """The forward pass; where it fails, the batch in halves (memory) or one by one (anything else)."""
    try:
        return run(loaded, batch)
    except INPUT_ERRORS as error:
        short = is_out_of_memory(error)
        reason = f"{type(error).__name__}: {error}"
    except MemoryError:
        short, reason = True, "MemoryError"
    # Outside of the except clause: the traceback, and with it the tensors of the failed pass, is gone by now.
    size = len(batch.samples)
    if size == 1:
        id, tokens = batch.samples[0].id, batch.inputs["input_ids"].shape[1]
        return [OutOfMemory(id=id, tokens=tokens) if short else SampleFailed(id=id, reason=reason)]
    if short and torch.cuda.is_available():
        torch.cuda.empty_cache()
    step = -(-size // 2) if short else 1
    parts = [slice(start, start + step) for start in range(0, size, step)]
    return [outcome for part in parts for outcome in read_attention(loaded, batch.samples[part], batch.images[part])]


def run(loaded: Any, batch: Batch) -> list[Outcome]:
    statistics, hidden = BatchStatistics(batch.groups, loaded.device), HeadInput(loaded.base)
    with torch.inference_mode(), LastRowCapture(loaded.base, statistics), hidden:
        inputs = batch.inputs.to(loaded.device, loaded.dtype)
        logits = loaded.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]  # [B, vocabulary]
        chances = torch.softmax(logits.float(), dim=-1)
        best, tokens = chances.max(dim=-1)
    expected, seen = set(loaded.family.layers), set(statistics.layers)
    if expected - seen:
        raise UnreadableAttention(reason=f"layers {sorted(expected - seen)} did not pass through it.")
    arrays = statistics.finish(loaded.base.config.get_text_config().num_hidden_layers)
    best, tokens, states = best.cpu().numpy(), tokens.cpu().numpy(), hidden.last()
    decode: Callable[..., str] = loaded.processor.tokenizer.decode
    outcomes: list[Outcome] = []
    for i, sample in enumerate(batch.samples):
        broken = np.flatnonzero(~np.isfinite(arrays[i]["mass"][sorted(seen)]).all(axis=(1, 2)))
        if broken.size or not np.isfinite(best[i]):
            layers = ", ".join(str(sorted(seen)[n]) for n in broken) or "(output only)"
            outcomes.append(NonFiniteAttention(id=sample.id, layers=layers))
            continue
        token = int(tokens[i])
        outcomes.append(
            AttentionRows(
                id=sample.id,
                **arrays[i],
                grids=batch.grids[i],
                token=token,
                token_text=decode([token]),
                probability=float(best[i]),
                hidden=states[i],
            )
        )
    return outcomes
