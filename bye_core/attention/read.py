"""Reads the attention of the first answer token for a batch of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from bye_core.attention.capture import LastRowCapture
from bye_core.attention.errors import NonFiniteAttention, UnreadableAttention
from bye_core.attention.statistics import BatchStatistics
from bye_core.errors import ByeError
from bye_core.model_protocol import EncodedBatch, Images, VisionLanguageModel
from bye_core.records import AttentionRows, Grid, Sample

Outcome = AttentionRows | ByeError
LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class QuestionBatch(EncodedBatch):
    """B encoded questions: the group of every key [B, K] and the grids of every sample."""

    groups: np.ndarray
    grids: Sequence[tuple[Grid, ...]]


def read_attention(
    loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]
) -> list[AttentionRows | ByeError]:
    """Return, for each sample in order, its attention rows or the error that occurred; usually in one forward pass.

    The model sees the questions, never the answers. `images[i]` are the RGB images of `samples[i]`.
    Raises: UnreadableAttention if the model's attention cannot be captured.
    """
    results = loaded.run_batch(samples, images, partial(encode_batch, loaded), partial(read_batch, loaded))
    return list(results)


def encode_batch(loaded: VisionLanguageModel, samples: Sequence[Sample], images: Sequence[Images]) -> QuestionBatch:
    family = loaded.family
    inputs = family.encode_questions(samples, images)
    positions = [family.token_groups(inputs, i, samples[i], images[i]) for i in range(len(samples))]
    family.check_lengths(samples, inputs)
    groups, grids = zip(*positions, strict=True)
    return QuestionBatch(samples, inputs, np.stack(groups), grids)


def read_batch(loaded: VisionLanguageModel, batch: QuestionBatch) -> list[Outcome]:
    """Run the forward pass and return each sample's attention rows, or NonFiniteAttention if they are not finite."""
    statistics = BatchStatistics(batch.groups, loaded.device, loaded.family.layers)
    head_input = HeadInput(loaded.base)
    with torch.inference_mode(), LastRowCapture(loaded.base, statistics), head_input:
        inputs = batch.inputs.to(loaded.device, loaded.dtype)
        logits = loaded.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]  # [B, vocabulary]
        best = torch.softmax(logits.float(), dim=-1).max(dim=-1)
    missing = sorted(set(loaded.family.layers).difference(statistics.layers))
    if missing:
        raise UnreadableAttention(reason=f"layers {missing} did not use it.")
    arrays = statistics.finish(loaded.base.config.get_text_config().num_hidden_layers)
    probabilities, tokens, states = best.values.cpu().numpy(), best.indices.cpu().numpy(), head_input.last()
    outcomes: list[Outcome] = []
    for i, sample in enumerate(batch.samples):
        broken = statistics.broken(i)
        if broken or not np.isfinite(probabilities[i]):
            names = ", ".join(map(str, broken)) or "(output only)"
            outcomes.append(NonFiniteAttention(id=sample.id, layers=names))
            continue
        token = int(tokens[i])
        outcomes.append(
            AttentionRows(
                id=sample.id,
                entropy=arrays[i]["entropy"],
                peak=arrays[i]["peak"],
                mass=arrays[i]["mass"],
                layer_entropy=arrays[i]["layer_entropy"],
                layer_entropy_reference=arrays[i]["layer_entropy_reference"],
                rows=arrays[i]["rows"],
                grids=batch.grids[i],
                token=token,
                token_text=loaded.processor.tokenizer.decode([token]),
                probability=float(probabilities[i]),
                hidden=states[i],
            )
        )
    return outcomes


class HeadInput:
    """Context manager that stores the input of the output head in one forward pass with `logits_to_keep=1`.

    It uses a hook because `output_hidden_states` would store the states of all layers.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.head: torch.nn.Module = model.get_output_embeddings()  # type: ignore[operator]
        self.states: Tensor | None = None

    def __enter__(self) -> HeadInput:
        self._hook = self.head.register_forward_pre_hook(self._keep)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()

    def _keep(self, module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.states = inputs[0]

    def last(self) -> np.ndarray:
        """Return the head's input at the last position of each sample: [B, D] float16, clipped to float16's range."""
        if self.states is None:
            raise UnreadableAttention(reason="its output head was not called.")
        states = self.states[:, -1].float().clamp(-LARGEST_FLOAT16, LARGEST_FLOAT16)
        return states.cpu().numpy().astype(np.float16)
