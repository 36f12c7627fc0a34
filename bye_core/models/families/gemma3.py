"""Gemma 3: a square of tokens for each image, and one more for each crop of an elongated image (pan and scan).

The markers of images in a prompt are start tokens, so `processor.image_token_id` is not `config.image_token_id`. Layers
with a sliding window do not see an image that lies too far back; their rows are "not visible" there. The projector has
no linear module, so LoRA does not adapt it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bye_core.models.errors import TileTokenCount
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import Box, image_option
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature

PAN_AND_SCAN = (
    "pan_and_scan_min_crop_size", "pan_and_scan_max_num_crops", "pan_and_scan_min_ratio_to_activate",
)  # fmt: skip


class Gemma3(Family):
    name = "Gemma 3"
    model_types = ("gemma3",)
    image_markers = ("<start_of_image>",)
    chat_markers = (r"<(?:start|end)_of_turn>", r"<end_of_image>", r"<image_soft_token>", r"<(?:bos|eos)>")
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    layout_tokens = ("<end_of_image>", "<image_soft_token>")

    def prepare(self) -> None:
        """Use pan and scan if preprocessor_config.json sets it; the processor passes its own defaults instead."""
        names = ("do_pan_and_scan", *PAN_AND_SCAN)
        stored = {name: getattr(self.processor.image_processor, name, None) for name in names}
        own = {name: value for name, value in stored.items() if value is not None}
        self.processor.images_kwargs = {**self.processor.images_kwargs, **own}

    def crops(self, size: tuple[int, int]) -> list[Box]:
        """Return the parts of an image of `size` (width, height) that the processor adds as crops, as fractions."""
        from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

        if not image_option(self.processor, "do_pan_and_scan"):
            return []
        width, height = size
        blank = np.broadcast_to(np.uint8(0), (3, height, width))  # takes one byte, whatever its shape
        options = {name: image_option(self.processor, name) for name in PAN_AND_SCAN}
        boxes, left, top = [], 0, 0
        # The version for torchvision names this method otherwise, and cuts the same crops.
        for crop in Gemma3ImageProcessorPil.pan_and_scan(self.processor.image_processor, blank, **options):
            right, bottom = left + crop.shape[2], top + crop.shape[1]
            boxes.append((left / width, top / height, right / width, bottom / height))
            # Crops lie in one row or in one column.
            left, top = (right, top) if bottom == height and top == 0 and right < width else (left, bottom)
        return boxes

    def replacement(self, size: tuple[int, int]) -> str:
        text: str = self.processor.replace_image_token({"num_crops": [len(self.crops(size))]}, 0)
        return text

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        boxes: list[tuple[int, Box, bool]] = []
        for number, size in enumerate(sizes):
            crops = self.crops(size)
            boxes.append((number, (0.0, 0.0, 1.0, 1.0), bool(crops)))
            boxes += [(number, crop, False) for crop in crops]
        per_crop = self.processor.image_seq_length
        side = math.isqrt(per_crop)
        if tokens != per_crop * len(boxes) or side * side != per_crop:
            raise TileTokenCount(id=sample.id, tokens=tokens, tiles=len(boxes), rows=side, columns=side)
        return [Grid(image, side, side, n * per_crop, box, whole) for n, (image, box, whole) in enumerate(boxes)]


FAMILY = Gemma3
