"""A model's answers to the questions of a test set, in batches; what they are worth is in `measures`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from PIL import Image

from bye_core.errors import ModelError
from bye_core.records import ModelAnswer, Sample

# Room for a caption and a sentence that an attacker appends to it (ours).
ANSWER_TOKENS = 64
# What processors and models raise on input that they cannot take, and on memory that is short.
FAILURES = (ValueError, TypeError, KeyError, IndexError, RuntimeError, OSError, ArithmeticError, MemoryError)


class NotAnswered(ModelError):
    problem = "The model gave no answer to sample {id!r}: {reason}."
    remedy = "Look at this sample's question and pictures; it is left out of the measurement."


def generate_answers(
    loaded: Any,
    samples: Sequence[Sample],
    pictures: Callable[[Sample], list[Image.Image]],
    batch: int = 32,
) -> Iterator[list[ModelAnswer | NotAnswered]]:
    """Greedy answers of the model, one list a batch, in the order of `samples`; the question alone is fed."""
    for start in range(0, len(samples), batch):
        yield _answers(loaded, samples[start : start + batch], pictures)


def _answers(
    loaded: Any, samples: Sequence[Sample], pictures: Callable[[Sample], list[Image.Image]]
) -> list[ModelAnswer | NotAnswered]:
    """Of one batch; one that fails, for a bad sample or for want of memory, is halved."""
    try:
        return _generate(loaded, samples, pictures)
    except FAILURES as error:
        reason = f"{type(error).__name__}: {error}"
    # Outside of the except clause, where the failed pass and its tensors are gone.
    if len(samples) == 1:
        return [NotAnswered(id=samples[0].id, reason=reason)]
    half = len(samples) // 2
    return [answer for part in (samples[:half], samples[half:]) for answer in _answers(loaded, part, pictures)]


def _generate(
    loaded: Any, samples: Sequence[Sample], pictures: Callable[[Sample], list[Image.Image]]
) -> list[ModelAnswer | NotAnswered]:
    tokenizer = loaded.processor.tokenizer
    prompts = [loaded.family.question(sample) for sample in samples]
    opened = [pictures(sample) for sample in samples]
    shown = [[own[n] for n in prompt.images] for prompt, own in zip(prompts, opened, strict=True)]
    inputs = loaded.family.encode([prompt.text for prompt in prompts], shown, padding_side="left")
    inputs = inputs.to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        output = loaded.model.generate(
            **inputs, max_new_tokens=ANSWER_TOKENS, do_sample=False, pad_token_id=tokenizer.pad_token_id
        )
    texts = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [
        ModelAnswer(sample.id, sample.question, sample.answer, text.strip())
        for sample, text in zip(samples, texts, strict=True)
    ]
