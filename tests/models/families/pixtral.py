"""A tiny Pixtral: LLaVA with Pixtral's tower, one token for 4 x 4 pixels of a picture of at most 40 x 40."""

from __future__ import annotations

from transformers import LlavaConfig, LlavaForConditionalGeneration, ProcessorMixin

from tests.models.families import mistral3
from tests.models.tiny import TinyModel


def tiny_processor() -> ProcessorMixin:
    return mistral3.tiny_processor(merge=1)


def tiny_config(**text: object) -> LlavaConfig:
    return LlavaConfig(**mistral3.parts(**text), image_token_id=3, vision_feature_select_strategy="full")


TINY = (
    TinyModel(
        name="pixtral",
        model=LlavaForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        groups=mistral3.prompt_groups(6, 7),  # 26 x 22 pixels
        layers=(0, 1, 2),
        learned=["it is red</s>", "how many dogs</s>"],
        grids={
            "wide": [(5, 10, 0)],  # scaled to 40 x 18 pixels
            "tall": [(10, 5, 0)],  # scaled to 18 x 40
            "square": [(10, 10, 0)],
        },
    ),
)
