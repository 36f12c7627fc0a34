"""Corrects models of transformers whose result for a sample depends on the other samples of its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def count_images_per_sample(model: Any) -> None:
    """Make HunYuan-VL number the images of each sample from 0, as its documentation says.

    transformers 5.23 goes on counting through the batch, so the positions of a sample's image tokens depend on the
    samples before it.
    """
    together = model.model.get_rope_index

    def rope_index(
        input_ids: torch.Tensor,
        mm_token_type_ids: torch.Tensor,
        image_grid_thw: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **options: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        from torch import cat

        positions, deltas, start = [], [], 0
        for row in range(len(input_ids)):
            own = slice(row, row + 1)
            kinds = (
                mm_token_type_ids[row] if attention_mask is None else mm_token_type_ids[row][attention_mask[row] > 0]
            )
            end = start + int(((kinds == 1) & (kinds.roll(1) != 1)).sum())  # a text precedes each image
            sizes = None if image_grid_thw is None else image_grid_thw[start:end]
            mask = None if attention_mask is None else attention_mask[own]
            place, delta = together(input_ids[own], mm_token_type_ids[own], sizes, mask, **options)
            positions.append(place)
            deltas.append(delta)
            start = end
        return cat(positions, dim=1), cat(deltas)

    model.model.get_rope_index = rope_index


# By model type.
CORRECTIONS: dict[str, Callable[[Any], None]] = {"hunyuan_vl": count_images_per_sample}
