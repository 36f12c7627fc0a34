"""Runs a model on batches of samples and generates answers.

Only this module splits a batch. It leaves out samples that cannot be encoded, and halves a batch that does not fit into
memory. So a bad sample does not make the other samples fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch

from bye_core.errors import ByeError, SampleFailed
from bye_core.model_protocol import (
    Batch,
    Encode,
    EncodedBatch,
    Forward,
    Images,
    OpenImages,
    Result,
    VisionLanguageModel,
)
from bye_core.models.errors import NotAnswered, OutOfMemory
from bye_core.process import is_out_of_memory
from bye_core.records import ModelAnswer, Sample

# What processors and models raise on input that they cannot process, and when memory runs out.
FAILURES = (
    ValueError, TypeError, KeyError, IndexError, RuntimeError, OSError, ArithmeticError, MemoryError,
)  # fmt: skip
# Room for a caption and a sentence that an attacker appends to it (ours).
ANSWER_TOKENS = 64


def run_batch(
    samples: Sequence[Sample], images: Sequence[Images], encode: Encode[Batch], forward: Forward[Batch, Result]
) -> list[Result | ByeError]:
    """Encode the samples, run them in one forward pass, and return the result or the error of each sample, in order.

    images   `images[i]` are the RGB images of `samples[i]`
    encode   may raise a ByeError or one of FAILURES for a sample that it cannot encode; the other samples still run
    forward  returns one result per sample. If it raises one of FAILURES, the batch runs again: in halves if memory ran
             out, else sample by sample. A ByeError from `forward` concerns the model and is not caught.
    """
    if not samples:
        return []
    try:
        batch = _encoded(samples, images, encode)
    except ByeError as error:
        return [error] if len(samples) == 1 else _without_bad_samples(samples, images, encode, forward)
    try:
        return list(forward(batch))
    except FAILURES as error:
        no_memory = is_out_of_memory(error)
        reason = _reason(error)
    # Outside the except clause: the traceback, and with it the tensors of the failed pass, is freed by now.
    if len(samples) == 1:
        id, tokens = samples[0].id, batch.inputs["input_ids"].shape[1]
        return [OutOfMemory(id=id, tokens=tokens) if no_memory else SampleFailed(id=id, reason=reason)]
    if no_memory and torch.cuda.is_available():
        torch.cuda.empty_cache()
    size = -(-len(samples) // 2) if no_memory else 1
    parts = [slice(start, start + size) for start in range(0, len(samples), size)]
    return [result for part in parts for result in run_batch(samples[part], images[part], encode, forward)]


def _encoded(samples: Sequence[Sample], images: Sequence[Images], encode: Encode[Batch]) -> Batch:
    try:
        return encode(samples, images)
    except FAILURES as error:
        raise SampleFailed(id=samples[0].id, reason=_reason(error)) from error


def _without_bad_samples(
    samples: Sequence[Sample], images: Sequence[Images], encode: Encode[Batch], forward: Forward[Batch, Result]
) -> list[Result | ByeError]:
    """Run the samples that can be encoded in one batch; return the result or the error of each sample, in order."""
    results: dict[int, Result | ByeError] = {}
    for i in range(len(samples)):
        try:
            _encoded(samples[i : i + 1], images[i : i + 1], encode)
        except ByeError as error:
            results[i] = error
    good = [i for i in range(len(samples)) if i not in results]
    # Samples that fail only together, which should not happen, run one by one.
    for group in [good] if results else [[i] for i in good]:
        outcomes = run_batch([samples[i] for i in group], [images[i] for i in group], encode, forward)
        results.update(zip(group, outcomes, strict=True))
    return [results[i] for i in range(len(samples))]


def generate_answers(
    loaded: VisionLanguageModel, samples: Sequence[Sample], images: OpenImages, batch: int = 32
) -> Iterator[list[ModelAnswer | NotAnswered]]:
    """Generate greedy answers to the samples' questions. Yields one list per batch, in the order of `samples`.

    The model does not see the samples' own answers. A list holds NotAnswered for each sample that failed.
    """
    for start in range(0, len(samples), batch):
        yield _answer_batch(loaded, samples[start : start + batch], images)


def _answer_batch(
    loaded: VisionLanguageModel, samples: Sequence[Sample], images: OpenImages
) -> list[ModelAnswer | NotAnswered]:
    opened: dict[int, Images] = {}
    results: dict[int, ModelAnswer | ByeError] = {}
    for i, sample in enumerate(samples):
        try:
            opened[i] = images(sample)
        except ByeError as error:
            results[i] = error
        except FAILURES as error:
            results[i] = SampleFailed(id=sample.id, reason=_reason(error))
    answers = run_batch(
        [samples[i] for i in opened], list(opened.values()), partial(_encode, loaded), partial(_generate, loaded)
    )
    results.update(zip(opened, answers, strict=True))
    return [_answer_or_failure(samples[i], results[i]) for i in range(len(samples))]


def _encode(loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]) -> EncodedBatch:
    return EncodedBatch(samples, loaded.family.encode_questions(samples, images))


def _generate(loaded: VisionLanguageModel, batch: EncodedBatch) -> list[ModelAnswer]:
    tokenizer = loaded.processor.tokenizer
    inputs = batch.inputs.to(loaded.device, loaded.dtype)
    with torch.inference_mode():
        output = loaded.model.generate(
            **inputs, max_new_tokens=ANSWER_TOKENS, do_sample=False, pad_token_id=tokenizer.pad_token_id
        )
    texts = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [
        ModelAnswer(sample.id, sample.question, sample.answer, text.strip())
        for sample, text in zip(batch.samples, texts, strict=True)
    ]


def _answer_or_failure(sample: Sample, result: ModelAnswer | ByeError) -> ModelAnswer | NotAnswered:
    if isinstance(result, ModelAnswer):
        return result
    return NotAnswered(id=sample.id, reason=str(result.facts.get("reason", result.problem)).rstrip("."))


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
