"""Idefics3: an image larger than one tile becomes a grid of tiles, followed by a thumbnail of the whole image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bye_core.models.errors import TileTokenCount
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import Box, edge, image_option
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature

# The processor never resizes to a longer edge than this.
LONGEST_EDGE = 4096
# The tokenizer has row and column markers up to this number; beyond it, the markers are ordinary text.
MARKED_TILES = 6


class Idefics3(Family):
    name = "Idefics3"
    model_types = ("idefics3",)
    image_markers = ("<image>",)
    chat_markers = (
        r"<end_of_utterance>", r"<fake_token_around_image>", r"<global-img>", r"<row_\d+_col_\d+>",
        r"<\|[a-z_]+\|>", r"\b(?:User|Assistant):",
    )  # fmt: skip
    language_model_name = "model.text_model"
    projector_name = "model.connector"
    tower_name = "model.vision_model"
    head_name = "lm_head"
    # The processor limits the longest edge before it cuts tiles.
    bounds_size = True
    layout_tokens = (
        "<fake_token_around_image>", "<global-img>",
        *(f"<row_{row}_col_{column}>" for row in range(1, MARKED_TILES + 1) for column in range(1, MARKED_TILES + 1)),
    )  # fmt: skip

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) before tiles are cut, by the processor's rule."""
        size = image_option(self.processor, "size")
        longest = edge(size, "longest_edge")
        if not image_option(self.processor, "do_resize"):
            return width, height
        if not longest:
            return edge(size, "width"), edge(size, "height")
        ratio = width / height
        if width >= height:
            width, height = longest, int(longest / ratio)
            height += height % 2
        else:
            width, height = int(longest * ratio), longest
            width += width % 2
        width, height = max(width, 1), max(height, 1)
        ratio = width / height
        if width >= height and width > LONGEST_EDGE:
            width, height = LONGEST_EDGE, int(LONGEST_EDGE / ratio)
        elif height > width and height > LONGEST_EDGE:
            width, height = int(LONGEST_EDGE * ratio), LONGEST_EDGE
        return max(width, 1), max(height, 1)

    def tiles(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (rows, columns) of tiles of an image of `size` (width, height); (0, 0): the thumbnail alone."""
        if not image_option(self.processor, "do_image_splitting"):
            return 0, 0
        tile = edge(image_option(self.processor, "max_image_size"), "longest_edge")
        width, height = self.resized(*size)
        ratio = width / height
        if width >= height:
            columns = math.ceil(width / tile)
            rows = math.ceil(int(columns * tile / ratio) / tile)
        else:
            rows = math.ceil(height / tile)
            columns = math.ceil(int(rows * tile * ratio) / tile)
        return (rows, columns) if max(rows, columns) > 1 else (0, 0)

    def replacement(self, size: tuple[int, int]) -> str:
        rows, columns = self.tiles(size)
        text: str = self.processor.replace_image_token({"rows": [[rows]], "cols": [[columns]]}, 0)
        return text

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        boxes: list[tuple[int, Box, bool]] = []
        for number, size in enumerate(sizes):
            rows, columns = self.tiles(size)
            boxes += [
                (number, (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows), False)
                for row in range(rows)
                for column in range(columns)
            ]
            boxes.append((number, (0.0, 0.0, 1.0, 1.0), rows > 0))
        per_tile = self.processor.image_seq_len
        side = math.isqrt(per_tile)
        if tokens != per_tile * len(boxes) or side * side != per_tile:
            raise TileTokenCount(id=sample.id, tokens=tokens, tiles=len(boxes), rows=side, columns=side)
        return [Grid(image, side, side, n * per_tile, box, last) for n, (image, box, last) in enumerate(boxes)]


FAMILY = Idefics3
