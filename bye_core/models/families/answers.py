"""Puts the tokens of answers behind encoded questions, and says where this would change the questions' attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import BatchFeature

# Kinds of rotary positions whose frequencies depend on the length of the sequence.
LENGTH_DEPENDENT = ("dynamic", "longrope")


def scales_with_length(text_config: Any) -> bool:
    """Return whether the positions of a decoder depend on the length of the whole sequence."""
    rope = getattr(text_config, "rope_parameters", None) or {}
    # Some models have one entry for each type of layer.
    entries = [rope, *(entry for entry in rope.values() if isinstance(entry, dict))]
    return any(entry.get("rope_type", entry.get("type")) in LENGTH_DEPENDENT for entry in entries)


def append_columns(
    inputs: BatchFeature, answers: Sequence[Sequence[int]], padding: int, answer_type: int
) -> BatchFeature:
    """Return the tensors of B questions, padded on the left, with the tokens of `answers` in A further columns.

    answer_type  the value of `token_type_ids` at these tokens
    Raises: ValueError if the processor returned another tensor over the positions of the prompts.
    """
    import torch
    from transformers import BatchFeature

    width = max(map(len, answers), default=0)
    ids = torch.tensor([[*own, *[padding] * (width - len(own))] for own in answers], dtype=torch.long)
    ids = ids.reshape(len(answers), width)  # also with no column
    real = torch.tensor([[*[1] * len(own), *[0] * (width - len(own))] for own in answers], dtype=torch.long)
    columns = {"input_ids": ids, "attention_mask": real.reshape(ids.shape)}
    columns |= {"token_type_ids": torch.full_like(ids, answer_type), "mm_token_type_ids": torch.zeros_like(ids)}
    longer: dict[str, Any] = dict(inputs)
    shape = tuple(inputs["input_ids"].shape)
    for key, values in inputs.items():
        if key == "cross_attention_mask":  # an answer sees the images that the end of its question sees
            longer[key] = _joined(values, values[:, -1:].expand(-1, width, *values.shape[2:]))
        elif key in columns:
            longer[key] = _joined(values, columns[key].to(values.dtype))
        elif tuple(getattr(values, "shape", ()))[:2] == shape and not key.startswith("pixel"):
            raise ValueError(f"the processor's {key} cannot be extended by an answer")
    return BatchFeature(longer)


def _joined(values: torch.Tensor, further: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([values, further], dim=1)
