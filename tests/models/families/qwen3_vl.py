"""A tiny Qwen3-VL, dense and with experts; features of its first tower layer enter the first decoder layer."""

from __future__ import annotations

from functools import partial

from transformers import (
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    Qwen3VLProcessor,
)

from tests.models.families.grid_thw import (
    CHATML,
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

TOWER = {
    **VISION, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "num_position_embeddings": 36,
    "deepstack_visual_indexes": [0],
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


def tiny_config(kind: type = Qwen3VLConfig, **text: object) -> Qwen3VLConfig:
    return kind(
        vision_config=TOWER, text_config={**TEXT, "head_dim": 8, "rope_parameters": rope(2, 1, 1), **text}, **QWEN_IDS
    )


TINY = tuple(
    TinyModel(
        name=name,
        model=model,
        config=config,
        processor=partial(qwen_processor, Qwen3VLProcessor, CHATML),
        groups=QWEN_GROUPS,
        layers=(0, 1, 2),
        learned=QWEN_LEARNED,
        grids=GRIDS,
    )
    for name, model, config in (
        ("qwen3_vl", Qwen3VLForConditionalGeneration, tiny_config),
        ("qwen3_vl_moe", Qwen3VLMoeForConditionalGeneration, partial(tiny_config, Qwen3VLMoeConfig, **EXPERTS)),
    )
)
