"""Llama 4: square tiles of an image on a canvas, row by row, then the whole image squeezed into one more tile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from bye_core.model_protocol import Images
from bye_core.models.errors import ImageTokenTotal
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import edge
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature


class Llama4(Family):
    """The marker of an image in a prompt, <|image|>, stays in the expanded prompt; each image token is a <|patch|>.

    The image fills the canvas from its upper left corner. A canvas of one tile has no overview.
    """

    name = "Llama 4"
    model_types = ("llama4",)
    image_markers = (r"<\|image\|>", r"<\|patch\|>")
    chat_markers = (r"<\|[\w]+\|>",)
    language_model_name = "language_model.model"
    projector_name = "multi_modal_projector"
    tower_name = "vision_model"
    head_name = "language_model.lm_head"
    layout_tokens = (
        "<|image|>", "<|image_start|>", "<|image_end|>", "<|tile_x_separator|>", "<|tile_y_separator|>", "<|patch|>",
    )  # fmt: skip
    flat_images = True

    def check_shape(self, image: Image.Image) -> None:
        """Accept every shape: the largest canvas limits the size of the scaled image."""

    def process(self, texts: Sequence[str], images: Sequence[Images], padding_side: str) -> BatchFeature:
        """Call the processor; it returns pixels in bfloat16, which a model in another data type does not accept."""
        import torch

        return super().process(texts, images, padding_side).to(torch.float32)

    def canvas(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return (rows of tiles, columns of tiles, width, height): the canvas, and the scaled image on it in pixels."""
        import torch
        from transformers.models.llama4 import image_processing_llama4 as rules

        image_processor = self.processor.image_processor
        tile, widest = edge(image_processor.size, "height"), image_processor.resize_to_max_canvas
        image = size[1], size[0]
        choices = torch.tensor(rules.find_supported_resolutions(image_processor.max_patches, image_processor.size))
        best = rules.get_best_fit(image, choices, resize_to_max_canvas=widest).tolist()
        limit = best if widest else [min(max(own, tile), most) for own, most in zip(image, best, strict=True)]
        height, width = rules.get_max_res_without_distortion(image, tuple(limit))
        return best[0] // tile, best[1] // tile, max(width, 1), max(height, 1)

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        tile = edge(self.processor.image_processor.size, "height")
        side = math.isqrt((tile // self.processor.patch_size) ** 2 // self.processor.downsample_ratio)
        grids: list[Grid] = []
        for number, size in enumerate(sizes):
            rows, columns, width, height = self.canvas(size)
            across, down = tile / width, tile / height  # a tile, in parts of the image
            for row in range(rows):
                for column in range(columns):
                    box = (column * across, row * down, (column + 1) * across, (row + 1) * down)
                    grids.append(Grid(number, side, side, len(grids) * side**2, box))
            if rows * columns > 1:
                grids.append(Grid(number, side, side, len(grids) * side**2, overview=True))
        if len(grids) * side**2 != tokens:
            raise ImageTokenTotal(id=sample.id, tokens=tokens, images=len(sizes), expected=len(grids) * side**2)
        return grids


FAMILY = Llama4
