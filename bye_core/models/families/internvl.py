"""InternVL 2.5, 3 and 3.5 in the layout of transformers: square tiles, then a thumbnail of the whole image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bye_core.models.errors import TileTokenCount
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import edge, image_option
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature

WHOLE = (0.0, 0.0, 1.0, 1.0)


class InternVL(Family):
    """The processor stretches an image to a canvas of whole tiles, whose shape is nearest to that of the image."""

    name = "InternVL"
    model_types = ("internvl",)
    image_markers = ("<IMG_CONTEXT>", "</?img>", "<image>")
    chat_markers = (r"<\|[a-z_]+\|>", r"</?s>", r"</?think>")
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    # The largest number of tiles limits the size of the stretched image.
    bounds_size = True
    layout_tokens = ("<img>", "</img>")

    def tiles(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (rows, columns) of tiles of an image of `size` (width, height); (1, 1): no thumbnail follows."""
        from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

        least, most = (image_option(self.processor, name) for name in ("min_patches", "max_patches"))
        if not image_option(self.processor, "crop_to_patches") or most <= 1:
            return 1, 1
        tile = image_option(self.processor, "size")
        sides = edge(tile, "height"), edge(tile, "width")
        columns, rows = get_optimal_tiled_canvas((size[1], size[0]), sides, least, most)
        return rows, columns

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        per_tile = self.processor.image_seq_length
        side = math.isqrt(per_tile)
        grids: list[Grid] = []
        for number, size in enumerate(sizes):
            rows, columns = self.tiles(size)
            boxes = [
                (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
                for row in range(rows)
                for column in range(columns)
            ]
            boxes += [WHOLE] * (len(boxes) > 1)
            grids += [
                Grid(number, side, side, (len(grids) + n) * per_tile, box, overview=n >= rows * columns)
                for n, box in enumerate(boxes)
            ]
        if tokens != per_tile * len(grids) or side * side != per_tile:
            raise TileTokenCount(id=sample.id, tokens=tokens, tiles=len(grids), rows=side, columns=side)
        return grids


FAMILY = InternVL
