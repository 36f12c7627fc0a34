"""Llama 3.2 Vision (Mllama): layers of cross attention read the image, so it has no tokens in the prompt.

Only these layers have rows over image tokens: for each image and each of its tiles, one class token and a square of
patches. An image that is followed by text and another image is not visible at the end of the prompt: its tokens are no
part of V, and it has no grid. All attention of these layers is on the image, so `mass` tells nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bye_core.model_protocol import Images
from bye_core.models.errors import NoImageTokens, TileTokenCount
from bye_core.models.families.base import PADDING, Family
from bye_core.models.families.geometry import Box, edge, image_option
from bye_core.records import IMAGE, Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature


class Mllama(Family):
    name = "Llama 3.2 Vision"
    model_types = ("mllama",)
    image_markers = (r"<\|image\|>",)
    chat_markers = (r"<\|[a-z_]+\|>",)
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_model"
    head_name = "lm_head"
    # The processor fits images into few tiles.
    bounds_size = True

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(self.config.get_text_config().cross_attention_layers)

    @property
    def side(self) -> int:
        """The number of patches along the side of a tile."""
        vision = self.config.vision_config
        return int(vision.image_size // vision.patch_size)

    def tile_boxes(self, size: tuple[int, int]) -> list[Box]:
        """Return the part of an image of `size` (width, height) under each of its tiles, row by row."""
        from transformers.models.mllama.image_processing_pil_mllama import (
            get_image_size_fit_to_canvas,
            get_optimal_tiled_canvas,
        )

        width, height = size
        tile = edge(image_option(self.processor, "size"), "height")
        canvas = get_optimal_tiled_canvas(height, width, image_option(self.processor, "max_image_tiles"), tile)
        # The image lies in the upper left corner of the canvas.
        new_height, new_width = get_image_size_fit_to_canvas(height, width, *canvas, tile)
        across, down = float(tile / new_width), float(tile / new_height)
        rows, columns = (int(length) // tile for length in canvas)
        return [
            (column * across, row * down, (column + 1) * across, (row + 1) * down)
            for row in range(rows)
            for column in range(columns)
        ]

    def token_groups(
        self, inputs: BatchFeature, row: int, sample: Sample, images: Images
    ) -> tuple[np.ndarray, tuple[Grid, ...]]:
        """Return the groups of the keys of cross attention (`Family.token_groups`): image, or padding if not visible.

        The keys are all tokens of all tiles of the most images in the batch.
        """
        prompt = self.question(sample)
        self.character_spans(inputs, row, prompt.text, sample.id)
        if "cross_attention_mask" not in inputs:
            raise NoImageTokens(id=sample.id)
        last = int(np.flatnonzero(inputs["attention_mask"][row].numpy())[-1])
        visible = inputs["cross_attention_mask"][row, last].numpy() > 0  # [images, tiles]
        if not visible.any():
            raise NoImageTokens(id=sample.id)
        groups = np.where(np.repeat(visible.ravel(), self.side**2 + 1), IMAGE, PADDING).astype(np.int8)
        numbers = [index for n, index in enumerate(prompt.images) if visible[n].any()]
        grids = self.grids(inputs, sample, [images[index].size for index in numbers], int((groups == IMAGE).sum()))
        return groups, tuple(replace(grid, image=numbers[grid.image]) for grid in grids)

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        side = self.side
        boxes = [(number, box) for number, size in enumerate(sizes) for box in self.tile_boxes(size)]
        if tokens != len(boxes) * (side**2 + 1):
            raise TileTokenCount(id=sample.id, tokens=tokens, tiles=len(boxes), rows=side, columns=side)
        # The class token of each tile comes before its patches.
        return [Grid(number, side, side, n * (side**2 + 1) + 1, box) for n, (number, box) in enumerate(boxes)]


FAMILY = Mllama
