"""Measures the loss of the samples' own answers, as BYORn does on the model before fine-tuning (arXiv 2606.02947)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from bye_core.answer_parts import answer_offset, unlikely_part
from bye_core.attention.answer_head import AnswerHead, Losses
from bye_core.attention.errors import NoAnswerToRead
from bye_core.errors import ByeError, SampleFailed
from bye_core.model_protocol import EncodedBatch, Images, VisionLanguageModel
from bye_core.records import Sample


@dataclass(frozen=True)
class AnswerLoss:
    """Loss of a sample's first answer: -ln p of its tokens in nats; the end-of-turn token counts too.

    nll             mean over the tokens, under the loaded model
    answer_tokens   number of tokens
    nll_before, worst_before  mean and largest loss before fine-tuning
    certain_before  probability of the most likely first token before fine-tuning
    unlikely_start, unlikely_end  see bye_core.answer_parts.unlikely_part; before fine-tuning
    The values before fine-tuning are None if that model is not known; the last two also if no part is unlikely.
    """

    nll: float
    answer_tokens: float
    nll_before: float | None = None
    worst_before: float | None = None
    certain_before: float | None = None
    unlikely_start: float | None = None
    unlikely_end: float | None = None


@dataclass(frozen=True)
class AnswerBatch(EncodedBatch):
    """B samples encoded up to the end of their first answers.

    learned  [B, T] marks the answers' positions
    spans    by row: the characters [start, end) of the answer that each learned position covers, or None if the prompt
             does not hold the answer unchanged
    """

    learned: np.ndarray
    spans: Sequence[np.ndarray | None]


def read_answers(
    loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]
) -> list[AnswerLoss | ByeError]:
    """Return, for each sample in order, the loss of its first answer or the error that occurred.

    Runs one forward pass, and a second one before fine-tuning if that model is known. `images[i]`
    are the RGB images of `samples[i]`.
    """
    results = loaded.run_batch(samples, images, partial(encode_answers, loaded), partial(_losses, loaded))
    return list(results)


def _losses(loaded: VisionLanguageModel, batch: AnswerBatch) -> list[AnswerLoss | ByeError]:
    inputs = batch.inputs.to(loaded.device, loaded.dtype)
    before = None
    with torch.inference_mode():
        after = answer_losses(loaded, inputs, batch.learned)
        if loaded.knows_before:
            with loaded.before_fine_tuning() as model:
                before = answer_losses(model, inputs, batch.learned)
    return [loss_of(sample, n, after, before, batch.spans[n]) for n, sample in enumerate(batch.samples)]


def loss_of(
    sample: Sample, row: int, after: Losses, before: Losses | None, spans: np.ndarray | None
) -> AnswerLoss | ByeError:
    """Return the loss of the answer in row number `row`, or the error if it is not finite. `spans`: see AnswerBatch."""
    values = {"nll": after.nll[row], "answer_tokens": after.tokens[row]}
    if before is not None:
        values |= {
            "nll_before": before.nll[row],
            "worst_before": before.worst[row],
            "certain_before": before.certain[row],
        }
    if not all(np.isfinite(value) for value in values.values()):
        return SampleFailed(id=sample.id, reason="the likelihood of its answer is not finite")
    if before is not None and spans is not None:
        part = unlikely_part(before.each[row], spans, len(sample.answer))
        values |= dict(zip(("unlikely_start", "unlikely_end"), part or (), strict=False))
    return AnswerLoss(**{name: float(value) for name, value in values.items()})


def encode_answers(loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]) -> AnswerBatch:
    """Encode the samples up to the end of their first answers and mark the positions that fine-tuning learns.

    Raises: NoAnswerToRead if a sample has no answer, or if its answer does not follow the question in the prompt;
    PromptTooLong if a sample has more tokens than the model accepts.
    """
    family = loaded.family
    prompts, shown, starts = [], [], []
    for sample, own in zip(samples, images, strict=True):
        question, through = family.question(sample), family.through_answer(sample)
        # An answer with a thought replaces the empty thought at the end of the question.
        start = len(question.text)
        if not through.text.startswith(question.text):
            start = next((span.start for span in through.spans if span.role == "assistant"), 0)
        if not start or start >= len(through.text) or not question.text.startswith(through.text[:start]):
            raise NoAnswerToRead(id=sample.id)
        prompts.append(through.text)
        shown.append([own[n] for n in through.images])
        starts.append(start)
    inputs = family.encode(prompts, shown, padding_side="left")
    learned = np.zeros(inputs["input_ids"].shape, bool)
    spans: list[np.ndarray | None] = []
    for row, (text, start) in enumerate(zip(prompts, starts, strict=True)):
        covered = family.character_spans(inputs, row, text, samples[row].id)
        first, last = covered.T
        learned[row] = (last > start) & (first < last)
        offset = answer_offset(text, start, samples[row].answer)
        spans.append(None if offset is None else covered[learned[row]] - offset)
    family.check_lengths(samples, inputs)
    return AnswerBatch(samples, inputs, learned, spans)


def answer_losses(loaded: VisionLanguageModel, inputs: Any, learned: np.ndarray) -> Losses:
    """Return the losses -ln p of the tokens marked in `learned` [B, T], where p is given all earlier tokens."""
    # Positions before the earliest answer need no states.
    width = learned.shape[1] - int(np.flatnonzero(learned.any(axis=0))[0])
    head = AnswerHead(loaded.base, learned[:, -width:])
    with head:
        logits = loaded.model(**inputs, logits_to_keep=width + 1, use_cache=False).logits
    return head.losses(logits, inputs["input_ids"][:, -width:])
