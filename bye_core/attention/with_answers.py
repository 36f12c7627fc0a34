"""Reads the attention of the first answer token and the loss of the answer in one forward pass.

Attention is causal: what the last position of the question attends to does not change if the answer follows. So the
answer's tokens are put behind the question. All questions of a batch end in the same column, and the answers begin in
the next one: the padding is to the left of the questions and to the right of the answers. If the model before
fine-tuning is known, one more pass reads the same from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from bye_core.answer_parts import answer_offset
from bye_core.attention.answer_head import Losses
from bye_core.attention.answer_loss import AnswerLoss, loss_of, read_answers
from bye_core.attention.errors import NoAnswerToRead, NonFiniteAttention
from bye_core.attention.read import Outcome, QuestionBatch, encode_batch, read_attention, read_pass, reused
from bye_core.attention.tower_cache import TowerCache
from bye_core.errors import ByeError, SampleFailed
from bye_core.model_protocol import Images, ModelFamily, VisionLanguageModel
from bye_core.records import AttentionRows, Sample

BEFORE = ("entropy", "peak", "mass")


@dataclass(frozen=True)
class Reading:
    """The rows of one sample, with the loss of its answer; `unread` is the error if the loss could not be read."""

    rows: AttentionRows
    unread: ByeError | None = None


@dataclass(frozen=True)
class AnswerTokens:
    """The tokens of an answer behind its question, and for each token whether fine-tuning learns it.

    spans  as in AnswerBatch, of the learned tokens
    """

    ids: list[int]
    learned: list[bool]
    spans: np.ndarray | None = None


@dataclass(frozen=True)
class AnsweredBatch(QuestionBatch):
    """B questions with their answers in the last A columns of `inputs`.

    learned  [B, A] the tokens whose loss counts; none in rows whose answer cannot be read
    unread   by row: why the answer cannot be read
    spans    as in AnswerBatch
    """

    learned: np.ndarray
    unread: Mapping[int, ByeError]
    spans: Sequence[np.ndarray | None]


def read_with_answers(
    loaded: VisionLanguageModel,
    samples: Sequence[Sample],
    images: Sequence[Images],
    encoded: AnsweredBatch | None = None,
) -> list[Reading | ByeError]:
    """Return, for each sample in order, its rows with the loss of its answer, or the error that occurred.

    Runs one forward pass, or two if the model before fine-tuning is known: the second one gives the attention and the
    loss before fine-tuning. `images[i]` are the RGB images of `samples[i]`; `encoded` is what `encode_with_answers`
    returned for these samples, if it was called before. If the family does not allow to put an answer behind its
    question, or if these passes fail for a sample, question and answer are read in passes of their own.
    Raises: UnreadableAttention if the model's attention cannot be captured.
    """
    known = None if encoded is None else {sample.id for sample in encoded.samples}
    together = [
        i
        for i, sample in enumerate(samples)
        if (_answer_tokens(loaded.family, sample) is not None if known is None else sample.id in known)
    ]
    outcomes = loaded.run_batch(
        [samples[i] for i in together],
        [images[i] for i in together],
        reused(encoded, partial(_encode, loaded.family)),
        partial(_read, loaded),
    )
    results: dict[int, Reading | ByeError] = {
        i: outcome
        for i, outcome in zip(together, outcomes, strict=True)
        if not isinstance(outcome, SampleFailed) or isinstance(outcome, NonFiniteAttention)
    }
    apart = [i for i in range(len(samples)) if i not in results]
    results.update(
        zip(apart, _read_apart(loaded, [samples[i] for i in apart], [images[i] for i in apart]), strict=True)
    )
    return [results[i] for i in range(len(samples))]


def encode_with_answers(
    family: ModelFamily, samples: Sequence[Sample], images: Sequence[Images]
) -> AnsweredBatch | None:
    """Encode the questions with their answers behind them, of all samples where this is possible; None if of none.

    Raises: the errors of `encode_batch`.
    """
    together = [i for i, sample in enumerate(samples) if _answer_tokens(family, sample) is not None]
    return _encode(family, [samples[i] for i in together], [images[i] for i in together]) if together else None


def _answer_tokens(family: ModelFamily, sample: Sample) -> AnswerTokens | ByeError | None:
    """Return the tokens of the sample's first answer; None if they cannot be put behind those of its question.

    Returns the error if the sample has no answer that can be read.
    """
    if not family.answer_keeps_rows:
        return None
    try:
        question, through = family.question(sample), family.through_answer(sample)
    except ByeError:
        return None  # reading the question alone tells whether the question or the answer is at fault
    start = len(question.text)
    if through.text == question.text or not any(turn.role == "assistant" for turn in sample.turns):
        return NoAnswerToRead(id=sample.id)
    if not through.text.startswith(question.text) or through.images != question.images:
        return None
    tokenizer, special = family.processor.tokenizer, family.adds_special_tokens(through.text)
    before = tokenizer(question.text, add_special_tokens=special)["input_ids"]
    encoded = tokenizer(through.text, add_special_tokens=special, return_offsets_mapping=True)
    ids = encoded["input_ids"]
    if ids[: len(before)] != before:
        return None  # a token that covers the end of the question and the start of the answer
    offsets = np.array(encoded["offset_mapping"][len(before) :]).reshape(-1, 2)
    learned = (offsets[:, 1] > start) & (offsets[:, 0] < offsets[:, 1])
    offset = answer_offset(through.text, start, sample.answer)
    spans = None if offset is None else offsets[learned] - offset
    return AnswerTokens(ids[len(before) :], learned.tolist(), spans)


def _encode(family: ModelFamily, samples: Sequence[Sample], images: Sequence[Images]) -> AnsweredBatch:
    """Encode the samples' questions and put their answers behind them."""
    questions = encode_batch(family, samples, images)
    lengths = questions.inputs["attention_mask"].sum(dim=1)
    added: list[AnswerTokens] = []
    unread: dict[int, ByeError] = {}
    for row, sample in enumerate(samples):
        answer = _answer_tokens(family, sample)
        try:
            if isinstance(answer, AnswerTokens):
                whole = torch.ones(1, int(lengths[row]) + len(answer.ids))
                family.check_lengths([sample], {"attention_mask": whole})
        except ByeError as error:
            answer = error
        if not isinstance(answer, AnswerTokens):
            unread[row] = answer or NoAnswerToRead(id=sample.id)
            answer = AnswerTokens([], [])
        added.append(answer)
    inputs = family.append_answers(questions.inputs, [answer.ids for answer in added])
    learned = np.zeros((len(samples), inputs["input_ids"].shape[1] - questions.inputs["input_ids"].shape[1]), bool)
    for row, answer in enumerate(added):
        learned[row, : len(answer.learned)] = answer.learned
    spans = [answer.spans for answer in added]
    return AnsweredBatch(samples, inputs, questions.groups, questions.grids, learned, unread, spans)


def _read(loaded: VisionLanguageModel, batch: AnsweredBatch) -> list[Reading | ByeError]:
    """Run the forward passes and return the reading or the error of each sample."""
    before: Losses | None = None
    earlier: Sequence[Outcome] = ()
    with torch.inference_mode(), TowerCache(loaded.base, loaded.family.tower_name) as tower:
        inputs = batch.inputs.to(loaded.device, loaded.dtype)
        outcomes, after = read_pass(loaded, batch, inputs, batch.learned)
        if loaded.knows_before:
            tower.replay()  # for a pass through the same tower
            with loaded.before_fine_tuning() as model:
                earlier, before = read_pass(model, batch, inputs, batch.learned)
    results: list[Reading | ByeError] = []
    for row, (sample, outcome) in enumerate(zip(batch.samples, outcomes, strict=True)):
        if isinstance(outcome, ByeError):
            results.append(outcome)
            continue
        loss = batch.unread.get(row) or loss_of(sample, row, after, before, batch.spans[row])
        results.append(_reading(outcome, earlier[row] if earlier else None, loss))
    return results


def _reading(rows: AttentionRows, earlier: Outcome | None, loss: AnswerLoss | ByeError) -> Reading:
    """Combine the rows of a sample with those before fine-tuning and with the loss of its answer, where they exist."""
    if isinstance(earlier, AttentionRows):
        rows = replace(rows, **{f"{name}_before": getattr(earlier, name) for name in BEFORE})
    return Reading(rows, loss) if isinstance(loss, ByeError) else Reading(replace(rows, **vars(loss)))


def _read_apart(
    loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]
) -> list[Reading | ByeError]:
    """Return what `read_with_answers` returns, from passes over the questions and passes over question and answer.

    A sample that the model before fine-tuning cannot read has no statistics of it.
    """
    outcomes = read_attention(loaded, samples, images)
    results: dict[int, Reading | ByeError] = {
        i: found for i, found in enumerate(outcomes) if isinstance(found, ByeError)
    }
    scanned = [i for i in range(len(samples)) if i not in results]
    own, shown = [samples[i] for i in scanned], [images[i] for i in scanned]
    losses = read_answers(loaded, own, shown)
    earlier: Sequence[Outcome | None] = [None] * len(scanned)
    if loaded.knows_before:
        with loaded.before_fine_tuning() as model:
            earlier = read_attention(model, own, shown)
    for i, before, loss in zip(scanned, earlier, losses, strict=True):
        rows = outcomes[i]
        if isinstance(rows, AttentionRows):
            results[i] = _reading(rows, before, loss)
    return [results[i] for i in range(len(samples))]
