"""A tiny SmolVLM: the tiles and markers of the tiny Idefics3."""

from __future__ import annotations

from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil, SmolVLMProcessor

from bye_core.models.processors import without_video
from tests.models.families.idefics3 import GRIDS, GROUPS, PICTURES, SPECIAL, TEMPLATE, tiny_settings
from tests.models.tiny import TinyModel, tiny_tokenizer


def tiny_processor() -> SmolVLMProcessor:
    return without_video(SmolVLMProcessor)(
        image_processor=SmolVLMImageProcessorPil(**PICTURES),
        tokenizer=tiny_tokenizer(*SPECIAL),
        video_processor=None,
        image_seq_len=4,
        chat_template=TEMPLATE,
    )


def tiny_config(**text: object) -> SmolVLMConfig:
    return SmolVLMConfig(**tiny_settings(**text))


TINY = (
    TinyModel(
        name="smolvlm",
        model=SmolVLMForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        groups=GROUPS,
        layers=(0, 1, 2),
        learned=("it is red<end_of_utterance>", "how many dogs<end_of_utterance>"),
        grids=GRIDS,
    ),
)
