"""The base class of families whose processors return `image_grid_thw`: one grid of its own size for each image.

The processor resizes an image to whole cells of patch_size x merge_size pixels, between a least and a largest number of
pixels, so the grid covers the whole image. Each token stands for one cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bye_core.model_protocol import Images
from bye_core.models.errors import AspectRatio, ImageTokenTotal
from bye_core.models.families.base import Family
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from PIL import Image
    from transformers import BatchFeature

# The processors of these families raise an error for more elongated images.
MAX_ASPECT_RATIO = 200


class GridThwFamily(Family):
    """A family with one grid an image, of (height / merge_size) x (width / merge_size) of `image_grid_thw` tokens."""

    language_model_name = "model.language_model"
    projector_name = "model.visual.merger"
    tower_name = "model.visual"
    head_name = "lm_head"
    flat_images = True

    @property
    def merge_size(self) -> int:
        """How many patches a token merges, along each axis."""
        return int(self.processor.image_processor.merge_size)

    def check_shape(self, image: Image.Image) -> None:
        """Check the shape of an image. Raises: AspectRatio if the processor refuses it.

        The memory needs no check: the processor's settings limit the number of pixels.
        """
        if max(image.size) > MAX_ASPECT_RATIO * min(image.size):
            raise AspectRatio(width=image.width, height=image.height, limit=MAX_ASPECT_RATIO)

    def token_groups(
        self, inputs: BatchFeature, row: int, sample: Sample, images: Images
    ) -> tuple[np.ndarray, tuple[Grid, ...]]:
        own = {**inputs, "image_grid_thw": self.sizes_of_row(inputs, row)}
        return super().token_groups(own, row, sample, images)  # type: ignore[arg-type]

    def sizes_of_row(self, inputs: Mapping[str, Any], row: int) -> Any:
        """Return the rows of `image_grid_thw` [all images of the batch, 3] that belong to row number `row`."""
        sizes = inputs.get("image_grid_thw")
        if sizes is None:
            return None
        counts = (inputs["input_ids"] == self.image_token_id).sum(dim=1)  # image tokens of each sample
        before = int(counts[:row].sum())
        lengths = sizes.prod(dim=1) // self.merge_size**2
        starts = lengths.cumsum(dim=0) - lengths
        return sizes[(starts >= before) & (starts < before + int(counts[row]))]

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        grids: list[Grid] = []
        start = 0
        for n, (_, height, width) in enumerate(inputs["image_grid_thw"].tolist()):
            rows, columns = height // self.merge_size, width // self.merge_size
            grids.append(Grid(n, rows, columns, start))
            start += rows * columns
        if start != tokens or len(grids) != len(sizes):
            raise ImageTokenTotal(id=sample.id, tokens=tokens, images=len(sizes), expected=start)
        return grids
