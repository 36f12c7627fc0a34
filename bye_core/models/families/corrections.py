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


def hide_images_of_others(model: Any) -> None:
    """Make Llama 3.2 Vision show the tokens before a sample's first image no other images than those of the sample.

    Such tokens have no image of their own. transformers 5.23 then lets them attend to all keys of the batch, which
    include the padding of a sample with fewer images than another (issue 39379 of transformers). Now their attention is
    that of the sample alone. A sample without an image stays unchanged: the tool does not run such samples.
    """
    per_image = model.config.vision_config.max_num_tiles * model.model.vision_model.num_patches

    def own_images(module: torch.nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
        from torch import finfo

        mask = kwargs.get("cross_attention_mask")  # [B, 1, K, keys]: 0 for visible keys, and in rows without any
        sees = kwargs.get("full_text_row_masked_out_mask")  # [B, 1, K, 1]: 1 for tokens behind an image, else 0
        if mask is None or sees is None or mask.shape[-1] == per_image:
            return None
        visible = ((mask == 0) & (sees > 0)).any(dim=2, keepdim=True)  # [B, 1, 1, keys]
        images = visible.unflatten(-1, (-1, per_image)).any(dim=-1)  # [B, 1, 1, images]
        others = ~images & images.any(dim=-1, keepdim=True) & (sees == 0)  # [B, 1, K, images]
        hidden = others.repeat_interleave(per_image, dim=-1)
        return args, {**kwargs, "cross_attention_mask": mask.masked_fill(hidden, finfo(mask.dtype).min)}

    model.model.language_model.register_forward_pre_hook(own_images, with_kwargs=True)


# By model type.
CORRECTIONS: dict[str, Callable[[Any], None]] = {
    "hunyuan_vl": count_images_per_sample,
    "mllama": hide_images_of_others,
}
