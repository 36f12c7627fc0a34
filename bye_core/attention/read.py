"""Reads the attention of the first answer token for a batch of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from bye_core.attention.answer_head import AnswerHead, Losses
from bye_core.attention.capture import LastRowCapture
from bye_core.attention.errors import NonFiniteAttention, UnreadableAttention
from bye_core.attention.statistics import BatchStatistics
from bye_core.errors import ByeError
from bye_core.model_protocol import Batch, Encode, EncodedBatch, Images, ModelFamily, VisionLanguageModel
from bye_core.records import AttentionRows, Grid, Sample

Outcome = AttentionRows | ByeError


@dataclass(frozen=True)
class QuestionBatch(EncodedBatch):
    """B encoded questions: the group of every key [B, K] and the grids of every sample."""

    groups: np.ndarray
    grids: Sequence[tuple[Grid, ...]]


def read_attention(
    loaded: VisionLanguageModel,
    samples: Sequence[Sample],
    images: Sequence[Images],
    encoded: QuestionBatch | None = None,
) -> list[AttentionRows | ByeError]:
    """Return, for each sample in order, its attention rows or the error that occurred; usually in one forward pass.

    The model sees the questions, never the answers. `images[i]` are the RGB images of `samples[i]`; `encoded` is what
    `encode_batch` returned for these samples, if it was called before.
    Raises: UnreadableAttention if the model's attention cannot be captured.
    """
    encode = reused(encoded, partial(encode_batch, loaded.family))
    return list(loaded.run_batch(samples, images, encode, partial(read_batch, loaded)))


def reused(encoded: Batch | None, encode: Encode[Batch]) -> Encode[Batch]:
    """Return a function that encodes samples, but returns `encoded` if it holds exactly these samples."""

    def encode_or_reuse(samples: Sequence[Sample], images: Sequence[Images]) -> Batch:
        if encoded is not None and [one.id for one in samples] == [one.id for one in encoded.samples]:
            return encoded
        return encode(samples, images)

    return encode_or_reuse


def encode_batch(family: ModelFamily, samples: Sequence[Sample], images: Sequence[Images]) -> QuestionBatch:
    """Encode the samples' questions, with the group of every key and the grids. Raises: the errors of the family."""
    inputs = family.encode_questions(samples, images)
    positions = [family.token_groups(inputs, i, samples[i], images[i]) for i in range(len(samples))]
    family.check_lengths(samples, inputs)
    groups, grids = zip(*positions, strict=True)
    return QuestionBatch(samples, inputs, np.stack(groups), grids)


def read_batch(loaded: VisionLanguageModel, batch: QuestionBatch) -> list[Outcome]:
    """Run the forward pass and return each sample's attention rows, or NonFiniteAttention if they are not finite."""
    with torch.inference_mode():
        inputs = batch.inputs.to(loaded.device, loaded.dtype)
        outcomes, _ = read_pass(loaded, batch, inputs, np.zeros((len(batch.samples), 0), bool))
    return outcomes


def read_pass(
    loaded: VisionLanguageModel, batch: QuestionBatch, inputs: Any, learned: np.ndarray
) -> tuple[list[Outcome], Losses]:
    """Run one forward pass over `inputs`: the questions of `batch`, then A columns of answers.

    learned  [B, A] the tokens of the answers whose loss counts
    Returns (rows or NonFiniteAttention of each sample, losses of the answers).
    """
    keys, width = batch.groups.shape[1], learned.shape[1]
    statistics = BatchStatistics(batch.groups, loaded.device, loaded.family.layers)

    def reduce(layer: int, rows: torch.Tensor) -> None:  # of a spread model, the rows are on the layer's own device
        statistics(layer, rows[..., :keys].to(loaded.device))

    # The last position of a question sees no key of its answer.
    capture = LastRowCapture(loaded.base, reduce, -1 - width)
    head = AnswerHead(loaded.base, learned)
    with capture, head:
        logits = loaded.model(**inputs, logits_to_keep=width + 1, use_cache=False).logits
    first = head.first_logits(logits)
    losses = head.losses(logits, inputs["input_ids"][:, inputs["input_ids"].shape[1] - width :])
    missing = sorted(set(loaded.family.layers).difference(statistics.layers))
    if missing:
        raise UnreadableAttention(reason=f"layers {missing} did not use it.")
    best = torch.softmax(first.float(), dim=-1).max(dim=-1)  # [B]
    return rows_of(loaded, batch, statistics, best.values.cpu().numpy(), best.indices.tolist(), head.states()), losses


def rows_of(
    loaded: VisionLanguageModel,
    batch: QuestionBatch,
    statistics: BatchStatistics,
    probabilities: np.ndarray,
    tokens: Sequence[int],
    states: np.ndarray,
) -> list[Outcome]:
    """Return the rows of each sample, or NonFiniteAttention; probabilities [B], tokens [B], states [B, D]."""
    arrays: Sequence[Mapping[str, Any]] = statistics.finish(loaded.base.config.get_text_config().num_hidden_layers)
    outcomes: list[Outcome] = []
    for i, sample in enumerate(batch.samples):
        broken = statistics.broken(i)
        if broken or not np.isfinite(probabilities[i]):
            names = ", ".join(map(str, broken)) or "(output only)"
            outcomes.append(NonFiniteAttention(id=sample.id, layers=names))
            continue
        outcomes.append(
            AttentionRows(
                id=sample.id,
                **arrays[i],
                grids=batch.grids[i],
                token=tokens[i],
                token_text=loaded.processor.tokenizer.decode([tokens[i]]),
                probability=float(probabilities[i]),
                hidden=states[i],
            )
        )
    return outcomes
