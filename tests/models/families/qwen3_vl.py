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

from tests.models.families.grid_thw import CHATML, SIZES, qwen, qwen_config

TOWER = {**SIZES, "num_position_embeddings": 36, "deepstack_visual_indexes": [0]}
DENSE = {"head_dim": 8}
EXPERTS = {**DENSE, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
TINY = tuple(
    qwen(name, model, partial(qwen_config, config, TOWER, decoder), Qwen3VLProcessor, CHATML)
    for name, model, config, decoder in (
        ("qwen3_vl", Qwen3VLForConditionalGeneration, Qwen3VLConfig, DENSE),
        ("qwen3_vl_moe", Qwen3VLMoeForConditionalGeneration, Qwen3VLMoeConfig, EXPERTS),
    )
)
