"""Gemma 4: one grid of tokens per image, whose rows and columns follow the shape of the image.

Only the pictures of a sample are used; the audio and video parts of the model stay idle. Templates of larger models
write an empty thought before an answer to generate: fine-tuning puts it before each answer too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bye_core.models.errors import TileTokenCount
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import image_option
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature


class Gemma4(Family):
    name = "Gemma 4"
    model_types = ("gemma4",)
    image_markers = (r"<\|image\|>",)
    chat_markers = (r"<\|[a-z_]+>", r"<[a-z_]+\|>", r"<\|(?:audio|video|think)\|>", r"<(?:bos|eos)>")
    language_model_name = "model.language_model"
    projector_name = "model.embed_vision"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    # The processor resizes images to a fixed number of patches.
    bounds_size = True
    layout_tokens = ("<|image>", "<image|>")
    empty_thought = "<|channel>thought\n<channel|>"

    def cells(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (rows, columns) of the tokens of an image of `size` (width, height)."""
        from transformers.models.gemma4.image_processing_pil_gemma4 import get_aspect_ratio_preserving_size

        width, height = size
        patch, pool = image_option(self.processor, "patch_size"), image_option(self.processor, "pooling_kernel_size")
        if image_option(self.processor, "do_resize"):
            patches = image_option(self.processor, "max_soft_tokens") * pool**2
            height, width = get_aspect_ratio_preserving_size(height, width, patch, patches, pool)
        return height // (patch * pool), width // (patch * pool)

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        grids, start = [], 0
        for number, size in enumerate(sizes):
            rows, columns = self.cells(size)
            grids.append(Grid(number, rows, columns, start))
            start += rows * columns
        if tokens != start:
            rows, columns = self.cells(sizes[0])
            raise TileTokenCount(id=sample.id, tokens=tokens, tiles=len(sizes), rows=rows, columns=columns)
        return grids


FAMILY = Gemma4
