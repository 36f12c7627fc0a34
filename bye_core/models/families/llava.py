"""LLaVA-1.5 with any decoder (Llama, Qwen2, Mistral, ...): each image is one grid of tokens, stored row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bye_core.models.errors import ImageTokenCount
from bye_core.models.families.base import Family
from bye_core.models.families.geometry import seen_box
from bye_core.records import Grid, Sample

if TYPE_CHECKING:
    from transformers import BatchFeature


class Llava(Family):
    name = "LLaVA-1.5"
    model_types = ("llava",)
    image_markers: ClassVar[tuple[str, ...]] = ("<image>",)
    chat_markers: ClassVar[tuple[str, ...]] = (
        r"</?s>", r"\[/?INST\]", r"<</?SYS>>", r"<(?:unk|pad)>", r"\b(?:USER|ASSISTANT):",
    )  # fmt: skip
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    flat_images = True

    def prepare(self) -> None:
        processor, vision = self.processor, self.config.vision_config
        if processor.patch_size is None:
            processor.patch_size = vision.patch_size
            processor.vision_feature_select_strategy = self.config.vision_feature_select_strategy
            # CLIP puts a class token before the patches, SigLIP does not.
            processor.num_additional_image_tokens = int(vision.model_type.startswith("clip"))

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        patch = self.processor.patch_size
        height, width = inputs["pixel_values"].shape[-2:]
        rows, columns = height // patch, width // patch
        per_image = tokens // len(sizes)
        # The strategy "full" keeps the class token, which comes before the grid.
        class_tokens = per_image - rows * columns
        if per_image * len(sizes) != tokens or class_tokens not in (0, 1):
            raise ImageTokenCount(id=sample.id, tokens=tokens, images=len(sizes), rows=rows, columns=columns)
        seen = columns * patch, rows * patch
        boxes = [seen_box(self.processor.image_processor, size, seen) for size in sizes]
        return [Grid(n, rows, columns, n * per_image + class_tokens, box) for n, box in enumerate(boxes)]


FAMILY = Llava
