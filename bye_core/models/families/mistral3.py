"""Mistral 3: each image as one grid in its own aspect ratio; every row ends in a break token with an id of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from PIL import Image

from bye_core.models.errors import ElongatedPicture, ImageTokenTotal
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import edge
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature


class Mistral3(Family):
    name = "Mistral 3"
    model_types = ("mistral3",)
    image_markers = (r"\[IMG\]",)
    chat_markers: ClassVar[tuple[str, ...]] = (
        r"</?s>", r"<(?:unk|pad)>", r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|THINK)\]",
        r"\[(?:IMG_BREAK|IMG_END|TOOL_CALLS)\]",
    )  # fmt: skip
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    layout_tokens = ("[IMG_BREAK]", "[IMG_END]")

    def check_shape(self, image: Image.Image) -> None:
        """Check the shape of an image. Raises: ElongatedPicture if one side is scaled to less than a pixel."""
        width, height = self.scaled(*image.size)
        if not width or not height:
            raise ElongatedPicture(width=image.width, height=image.height, new_width=width, new_height=height)

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) after the processor has limited the longest edge."""
        image_processor = self.processor.image_processor
        if not image_processor.do_resize:
            return width, height
        size = image_processor.size
        longest = edge(size, "longest_edge")
        ratio = max(width / (longest or edge(size, "width")), height / (longest or edge(size, "height")))
        return (math.floor(width / ratio), math.floor(height / ratio)) if ratio > 1 else (width, height)

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        side = self.processor.patch_size * self.processor.spatial_merge_size  # pixels of a token
        grids, start = [], 0
        for number, size in enumerate(sizes):
            width, height = self.scaled(*size)
            # The processor stretches the image to whole tokens.
            columns, rows = math.ceil(width / side), math.ceil(height / side)
            grids.append(Grid(number, rows, columns, start))
            start += rows * columns
        if start != tokens:
            raise ImageTokenTotal(id=sample.id, tokens=tokens, images=len(sizes), expected=start)
        return grids


FAMILY = Mistral3
