"""A tiny Qwen2.5-VL, whose first tower layer computes attention in windows of 2 x 2 tokens."""

from __future__ import annotations

from functools import partial

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from tests.models.families.grid_thw import (
    CHATML_SYSTEM,
    GRIDS,
    QWEN_GROUPS,
    QWEN_IDS,
    QWEN_LEARNED,
    TEXT,
    VISION,
    qwen_processor,
    rope,
)
from tests.models.tiny import TinyModel

WINDOWS = {"window_size": 16, "fullatt_block_indexes": [1]}


def tiny_config(**text: object) -> Qwen2_5_VLConfig:
    tower = {**VISION, **WINDOWS, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    return Qwen2_5_VLConfig(
        vision_config=tower, text_config={**TEXT, "rope_parameters": rope(2, 1, 1), **text}, **QWEN_IDS
    )


TINY = (
    TinyModel(
        name="qwen2_5_vl",
        model=Qwen2_5_VLForConditionalGeneration,
        config=tiny_config,
        processor=partial(qwen_processor, Qwen2_5_VLProcessor, CHATML_SYSTEM),
        groups=QWEN_GROUPS,
        layers=(0, 1, 2),
        learned=QWEN_LEARNED,
        grids=GRIDS,
    ),
)
