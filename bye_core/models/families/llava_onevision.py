"""LLaVA-OneVision: one image as in LLaVA-NeXT, with a limit for the mosaic; several images as one square tile each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from bye_core.model_protocol import Images
from bye_core.models.errors import ElongatedPicture
from bye_core.models.families.base import MAX_RESIZED_PIXELS
from bye_core.models.families.geometry import Box, seen_box
from bye_core.models.families.llava_next import LlavaNext
from bye_core.records import Grid

if TYPE_CHECKING:
    from transformers import BatchFeature

# The model shrinks a mosaic whose side is longer than the limit by more than this factor.
TOLERANCE = 1.1


class LlavaOnevision(LlavaNext):
    name = "LLaVA-OneVision"
    model_types = ("llava_onevision",)
    image_markers = ("<image>", "<video>")
    chat_markers = (r"<\|[\w-]+\|>",)
    flat_images = False

    def prepare(self) -> None:
        """Leave the processor unchanged: it has no settings that old checkpoints lack."""

    def encode(self, texts: Sequence[str], images: Sequence[Images], padding_side: str = "left") -> BatchFeature:
        for own in images:
            for image in own if len(own) > 1 else []:
                self.check_padded_shape(image)
        return super().encode(texts, images, padding_side)

    def check_padded_shape(self, image: Image.Image) -> None:
        """Check the shape of one of several images. Raises: ElongatedPicture if its padded form is too large."""
        side = max(image.size)
        if side**2 > MAX_RESIZED_PIXELS:
            raise ElongatedPicture(width=image.width, height=image.height, new_width=side, new_height=side)

    def image_grids(
        self, number: int, size: tuple[int, int], start: int, tile: int, images: int
    ) -> tuple[list[Grid], int]:
        if images == 1:
            return super().image_grids(number, size, start, tile, images)
        cells = self.cells(tile)
        seen = cells * self.config.vision_config.patch_size
        box = seen_box(self.processor.image_processor, size, (seen, seen))
        return [Grid(number, cells, cells, start, box)], cells**2 + 1  # a newline token follows

    def mosaic(self, size: tuple[int, int], tile: int) -> tuple[int, int, Box]:
        rows, columns, box = super().mosaic(size, tile)
        limit = int(self.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = math.sqrt(rows * columns / (limit * self.cells(tile) ** 2))
        if ratio > TOLERANCE:
            rows, columns = int(rows // ratio), int(columns // ratio)
        return rows, columns, box


FAMILY = LlavaOnevision
