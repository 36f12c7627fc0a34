"""How likely a model finds the samples' own answers: what BYORn asks of the model before fine-tuning (METHOD, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature

from bye_core.attention.errors import NoAnswerToRead, PromptTooLong, SampleFailed
from bye_core.attention.read import INPUT_ERRORS, Pictures
from bye_core.errors import ByeError
from bye_core.records import Sample


@dataclass(frozen=True)
class AnswerLoss:
    """Mean negative log-likelihood of a sample's first answer, nats a token, its end-of-turn token included.

    nll         under the loaded model
    nll_before  with the adapter switched off, that is before fine-tuning; None where there is no adapter
    """

    nll: float
    nll_before: float | None


def read_answers(loaded: Any, samples: Sequence[Sample], images: Sequence[Pictures]) -> list[AnswerLoss | ByeError]:
    """A forward pass over a batch with the first answers fed, and one more without the adapter -> one outcome a sample.

    `loaded` is a models.LoadedModel, `images[i]` the RGB pictures of `samples[i]`. A batch that fails is halved until
    what is at fault stands alone; that sample is returned as its error.
    """
    if not samples:
        return []
    try:
        return _read(loaded, samples, images)
    except ByeError as error:
        failure: ByeError = error
    except (*INPUT_ERRORS, MemoryError) as error:
        failure = SampleFailed(id=samples[0].id, reason=f"{type(error).__name__}: {error}")
    # Outside of the except clause, where the failed pass and its tensors are gone.
    if len(samples) == 1:
        return [failure]
    half = len(samples) // 2
    parts = (slice(0, half), slice(half, None))
    return [outcome for part in parts for outcome in read_answers(loaded, samples[part], images[part])]


def _read(loaded: Any, samples: Sequence[Sample], images: Sequence[Pictures]) -> list[AnswerLoss | ByeError]:
    inputs, learned = encode_answers(loaded.family, samples, images)
    limit = getattr(loaded.base.config.get_text_config(), "max_position_embeddings", None)
    tokens = int(inputs["attention_mask"].sum(dim=1).max())
    if limit and tokens > limit:
        raise PromptTooLong(id=samples[0].id, tokens=tokens, limit=limit)
    inputs = inputs.to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        now: list[float] = mean_nll(loaded.model, inputs, learned).tolist()
        before: list[float | None] = [None] * len(samples)
        if hasattr(loaded.model, "disable_adapter"):
            with loaded.model.disable_adapter():
                before = mean_nll(loaded.model, inputs, learned).tolist()
    return [
        AnswerLoss(nll, earlier) if np.isfinite([nll, earlier or 0]).all() else _not_finite(sample)
        for sample, nll, earlier in zip(samples, now, before, strict=True)
    ]


def _not_finite(sample: Sample) -> SampleFailed:
    return SampleFailed(id=sample.id, reason="the likelihood of its answer is not finite")


def encode_answers(
    family: Any, samples: Sequence[Sample], images: Sequence[Pictures]
) -> tuple[BatchFeature, np.ndarray]:
    """The samples up to the end of their first answers, and which positions [B, T] belong to those answers.

    The same positions that fine-tuning learns. Raises NoAnswerToRead.
    """
    prompts, shown, starts = [], [], []
    for sample, pictures in zip(samples, images, strict=True):
        before, through = family.question(sample), family.through_answer(sample)
        if not through.text.startswith(before.text) or len(through.text) == len(before.text):
            raise NoAnswerToRead(id=sample.id)
        prompts.append(through.text)
        shown.append([pictures[n] for n in through.images])
        starts.append(len(before.text))
    inputs = family.encode(prompts, shown, padding_side="left")
    learned = np.zeros(inputs["input_ids"].shape, bool)
    for row, (text, start) in enumerate(zip(prompts, starts, strict=True)):
        first, last = family.character_spans(inputs, row, text, samples[row].id).T
        learned[row] = (last > start) & (first < last)
    return inputs, learned


def mean_nll(model: torch.nn.Module, inputs: BatchFeature, learned: np.ndarray) -> Tensor:
    """Mean of -ln p over the positions `learned` [B, T], each given all before it -> [B] nats, float64."""
    # Positions before the earliest answer need no logits.
    width = learned.shape[1] - int(np.flatnonzero(learned.any(axis=0))[0])
    logits = model(**inputs, logits_to_keep=width + 1, use_cache=False).logits[:, :-1]  # [B, W, vocabulary]
    tokens = inputs["input_ids"][:, -width:]
    each = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), tokens, reduction="none")  # [B, W]
    mask = torch.from_numpy(learned[:, -width:]).to(each.device)
    return (each.double() * mask).sum(dim=1) / mask.sum(dim=1)
