"""Collates samples into a training batch in which only the tokens of answers have labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from bye_core.model_protocol import ModelFamily, OpenImages, Prompt
from bye_core.records import Sample
from bye_core.train.errors import NotTogether, TemplateRewritesHistory

IGNORED = -100


def answer_spans(
    sample: Sample, chat: Callable[..., str], render: Callable[..., Prompt] | None = None
) -> tuple[str, list[tuple[int, int]]]:
    """Return (text, spans): the sample's whole chat, and the characters [start, end) of each answer in it.

    The model learns these spans. `chat(turns, generation=...)` renders turns with the processor's template, and
    `render` does so as a Prompt. A span ends where the template closes the turn, so the model learns the end-of-turn
    token too. The template of a thinking model may leave the thoughts out of earlier turns: then the spans are those of
    the texts in the Prompt. Raises: TemplateRewritesHistory if the template changes more, or if `render` is None.
    """
    whole = chat(sample.turns, generation=False)
    spans: list[tuple[int, int]] = []
    for index, turn in enumerate(sample.turns):
        if turn.role != "assistant":
            continue
        before = chat(sample.turns[:index], generation=True)
        through = chat(sample.turns[: index + 1], generation=False)
        if through.startswith(before) and whole.startswith(through):
            spans.append((len(before), len(through)))
            continue
        span = _span_in_whole(sample, index, render) if render else None
        if span is None:
            raise TemplateRewritesHistory(answer=len(spans) + 1, id=sample.id)
        spans.append(span)
    return whole, spans


def _span_in_whole(sample: Sample, index: int, render: Callable[..., Prompt]) -> tuple[int, int] | None:
    """Return the characters [start, end) of turn number `index` in the whole chat.

    None if the turn ends in another way than it does in the chat that stops after this turn.
    """
    counts = [sum(isinstance(part, str) and part != "" for part in turn.parts) for turn in sample.turns]
    first, last = sum(counts[:index]), sum(counts[: index + 1]) - 1
    if last < first:
        return None
    whole, through = render(sample.turns, generation=False), render(sample.turns[: index + 1], generation=False)
    closing = through.text[through.spans[last].stop :]
    start, stop = whole.spans[first].start, whole.spans[last].stop
    return (start, stop + len(closing)) if whole.text.startswith(closing, stop) else None


@dataclass
class Collator:
    """Opens images, encodes whole chats and builds `labels` [B, T]: token ids in answers, -100 elsewhere."""

    family: ModelFamily
    images: OpenImages

    def __call__(self, samples: Sequence[Sample]) -> dict[str, torch.Tensor]:
        chats = [answer_spans(sample, self.family.chat, self.family.render) for sample in samples]
        texts = [text for text, _ in chats]
        opened = [self.images(sample) for sample in samples]
        orders = [self.family.render(sample.turns, generation=False).images for sample in samples]
        shown = [[own[n] for n in order] for own, order in zip(opened, orders, strict=True)]
        try:
            batch = self.family.encode(texts, shown, padding_side="right")
        except (ValueError, RuntimeError) as error:  # each sample alone was encoded before the training
            if len(samples) == 1:
                raise
            ids = ", ".join(repr(sample.id) for sample in samples)
            raise NotTogether(ids=ids, reason=str(error).split("\n")[0]) from error
        labels = torch.full_like(batch["input_ids"], IGNORED)
        for row, (text, spans) in enumerate(chats):
            tokens = self.family.character_spans(batch, row, text)
            for position, (start, end) in enumerate(tokens):
                if any(first < end <= last and start < end for first, last in spans):
                    labels[row, position] = batch["input_ids"][row, position]
        return {**batch, "labels": labels}
