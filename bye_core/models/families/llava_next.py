"""LLaVA-NeXT (LLaVA-1.6): each image as a square overview, then as a mosaic of tiles in its own aspect ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bye_core.models.errors import ImageTokenTotal
from bye_core.models.families.geometry import Box
from bye_core.models.families.llava import Llava
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    import torch
    from transformers import BatchFeature


class LlavaNext(Llava):
    """The overview shows the whole image, squeezed into a square tile.

    For the mosaic, the processor scales the image into the best of several canvases and pads it to fill that canvas.
    The tower reads the canvas tile by tile. The model joins the tiles, removes the rows or columns of padding, and ends
    every row with a newline token, which shows nothing. Some towers leave out a few pixels at the right and lower
    edges of a tile (378 of 384 are read). The mosaic is still one grid; its cells deviate by a quarter of a cell at
    most from the pixels that the tower read.
    """

    name = "LLaVA-NeXT"
    model_types = ("llava_next",)
    chat_markers = (*Llava.chat_markers, r"<\|[\w-]+\|>")
    # The largest canvas limits the size of the scaled image.
    bounds_size = True

    def attach(self, model: torch.nn.Module) -> None:
        """Give the model the canvases of its processor, which `limit_pixels` may have made fewer."""
        super().attach(model)
        model.config.image_grid_pinpoints = self.config.image_grid_pinpoints

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        tile = inputs["pixel_values"].shape[-1]
        grids: list[Grid] = []
        start = 0
        for number, size in enumerate(sizes):
            own, count = self.image_grids(number, size, start, tile, len(sizes))
            grids += own
            start += count
        if start != tokens:
            raise ImageTokenTotal(id=sample.id, tokens=tokens, images=len(sizes), expected=start)
        return grids

    def cells(self, tile: int) -> int:
        """Return the number of rows, and of columns, of tokens in a tile with a side of `tile` pixels."""
        return tile // self.config.vision_config.patch_size

    def image_grids(
        self, number: int, size: tuple[int, int], start: int, tile: int, images: int
    ) -> tuple[list[Grid], int]:
        """Return the grids of image `number` out of `images` and the number of its tokens, which begin at `start`."""
        cells = self.cells(tile)
        covered = cells * self.config.vision_config.patch_size / tile
        overview = Grid(number, cells, cells, start, (0.0, 0.0, covered, covered), overview=True)
        rows, columns, box = self.mosaic(size, tile)
        mosaic = Grid(number, rows, columns, start + cells**2, box, row_stride=columns + 1)
        # An elongated image can lose all its columns; then only newline tokens follow the overview.
        return ([overview, mosaic] if rows and columns else [overview]), cells**2 + rows * (columns + 1)

    def mosaic(self, size: tuple[int, int], tile: int) -> tuple[int, int, Box]:
        """Return (rows, columns, box) of the tokens that the model keeps from the tiles of an image."""
        from transformers.image_processing_utils import select_best_resolution

        cells = self.cells(tile)
        best = select_best_resolution(size[::-1], self.processor.image_processor.image_grid_pinpoints)
        unread = tile - cells * self.config.vision_config.patch_size
        return _unpadded(size, (best[1], best[0]), (best[1] // tile * cells, best[0] // tile * cells), unread / 2)


def _unpadded(
    size: tuple[int, int], canvas: tuple[int, int], full: tuple[int, int], shift: float
) -> tuple[int, int, Box]:
    """Return (rows, columns, box) of the cells that remain after the padding is removed.

    size    (width, height) of the image
    canvas  (width, height) of the canvas in pixels
    full    (columns, rows) of the cells on the whole canvas
    shift   pixels by which the cells lie further left and higher than an even division of the canvas
    """
    # Along this axis the image fills the canvas.
    filled = 0 if size[0] / size[1] > full[0] / full[1] else 1
    count, starts, stops = [0, 0], [0.0, 0.0], [0.0, 0.0]
    for axis in (0, 1):
        padding, scaled = 0, canvas[axis]
        if axis != filled:
            kept = int(round(size[axis] * (full[filled] / size[filled]), 7))
            padding = (full[axis] - kept) // 2
            scaled = min(math.ceil(size[axis] * (canvas[filled] / size[filled])), canvas[axis])
        offset, pixels = (canvas[axis] - scaled) // 2 + shift, canvas[axis] / full[axis]
        count[axis] = full[axis] - 2 * padding
        starts[axis] = (padding * pixels - offset) / scaled
        stops[axis] = ((padding + count[axis]) * pixels - offset) / scaled
    return count[1], count[0], (starts[0], starts[1], stops[0], stops[1])


FAMILY = LlavaNext
