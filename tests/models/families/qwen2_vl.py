"""A tiny Qwen2-VL."""

from __future__ import annotations

from functools import partial

from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor

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


def tiny_config(**text: object) -> Qwen2VLConfig:
    return Qwen2VLConfig(
        vision_config={**VISION, "embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2},
        text_config={**TEXT, "rope_parameters": rope(2, 1, 1), **text},
        **QWEN_IDS,
    )


TINY = (
    TinyModel(
        name="qwen2_vl",
        model=Qwen2VLForConditionalGeneration,
        config=tiny_config,
        processor=partial(qwen_processor, Qwen2VLProcessor, CHATML_SYSTEM),
        groups=QWEN_GROUPS,
        layers=(0, 1, 2),
        learned=QWEN_LEARNED,
        grids=GRIDS,
    ),
)
