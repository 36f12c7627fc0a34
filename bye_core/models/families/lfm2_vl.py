"""LFM2-VL: an image as one grid in its own aspect ratio, or as square tiles in a rectangle with a thumbnail last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from bye_core.models.errors import ImageTokenTotal
from bye_core.models.families.base import Family
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature

# The tokenizer has row and column markers up to this number.
MARKED_TILES = 10


class Lfm2VL(Family):
    """Its image processor has no version without torchvision, so this family asks it for the layout of the tiles."""

    name = "LFM2-VL"
    model_types = ("lfm2_vl",)
    image_markers = ("<image>",)
    chat_markers = (r"<\|[\w]+\|>",)
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    layout_tokens = (
        "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>",
        *(f"<|img_row_{row}_col_{column}|>" for row in range(1, MARKED_TILES + 1)
          for column in range(1, MARKED_TILES + 1)),
    )  # fmt: skip

    def check_shape(self, image: Image.Image) -> None:
        """Accept every shape: the processor limits the number of tiles, and the pixels of the scaled image."""

    def layout(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return (rows of tiles, columns of tiles, width, height) of an image; the scaled image alone is 1 x 1 tile.

        `width` and `height` are the pixels of the scaled image, which is the thumbnail if there are several tiles.
        """
        image_processor = self.processor.image_processor
        width, height = size
        limits = {
            name: getattr(image_processor, name)
            for name in ("downsample_factor", "encoder_patch_size", "max_image_tokens")
        }
        scaled = image_processor.smart_resize(
            height=height, width=width, min_image_tokens=image_processor.min_image_tokens, **limits
        )
        most = image_processor.max_tiles if image_processor.do_image_splitting else 1
        large = image_processor._is_image_too_large(
            height=height, width=width, max_pixels_tolerance=image_processor.max_pixels_tolerance, **limits
        )
        if most == 1 or not large:
            return 1, 1, *scaled
        columns, rows, *_ = image_processor._get_grid_layout(
            height=height,
            width=width,
            min_tiles=image_processor.min_tiles,
            max_tiles=most,
            tile_size=image_processor.tile_size,
        )
        return rows, columns, *scaled

    def replacement(self, size: tuple[int, int]) -> str:
        rows, columns, width, height = self.layout(size)
        facts: dict[str, Any] = {"image_rows": [rows], "image_cols": [columns], "image_sizes": [[height, width]]}
        text: str = self.processor.replace_image_token(
            facts, 0, use_image_special_tokens=self.processor.use_image_special_tokens
        )
        return text

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        image_processor = self.processor.image_processor
        patch, factor = image_processor.encoder_patch_size, image_processor.downsample_factor
        side = math.ceil(image_processor.tile_size // patch / factor)
        grids: list[Grid] = []
        start = 0
        for number, size in enumerate(sizes):
            rows, columns, width, height = self.layout(size)
            several = rows * columns > 1
            for tile in range(rows * columns if several else 0):
                row, column = divmod(tile, columns)
                box = (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
                grids.append(Grid(number, side, side, start, box))
                start += side**2
            if not several or image_processor.use_thumbnail:
                down, across = (math.ceil(edge // patch / factor) for edge in (height, width))
                grids.append(Grid(number, down, across, start, overview=several))
                start += down * across
        if start != tokens:
            raise ImageTokenTotal(id=sample.id, tokens=tokens, images=len(sizes), expected=start)
        return grids


FAMILY = Lfm2VL
