"""A tiny Qwen3.5, dense and with experts: layers of linear attention between those with rows; thinking templates."""

from __future__ import annotations

from functools import partial
from typing import Any

from transformers import (
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
    Qwen3VLProcessor,
)

from tests.models.families.grid_thw import CHATML, QWEN_GROUPS, SIZES, qwen, qwen_config, rope
from tests.models.tiny import TinyModel

TOWER = {**SIZES, "num_position_embeddings": 36}
LINEAR = {
    "num_hidden_layers": 4, "layer_types": ["linear_attention", "full_attention"] * 2, "head_dim": 32,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "rope_parameters": rope(2, 1, 1, partial_rotary_factor=0.25),
}  # fmt: skip
EXPERTS = {
    **LINEAR, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}  # fmt: skip
# The template opens a thought where an answer starts. It closes the thought before the text of the last answer, and
# leaves thoughts out of earlier answers.
THINKING = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'").replace(
    "{% for c in",
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% for c in",
)
GROUPS = (*QWEN_GROUPS[:-1], ("S", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>"))


def tiny(name: str, model: type, config: type, decoder: dict[str, Any]) -> TinyModel:
    built, tokens = partial(qwen_config, config, TOWER, decoder), ("<think>", "</think>")
    return qwen(name, model, built, Qwen3VLProcessor, THINKING, tokens, GROUPS, layers=(1, 3))


TINY = (
    tiny("qwen3_5", Qwen3_5ForConditionalGeneration, Qwen3_5Config, LINEAR),
    tiny("qwen3_5_moe", Qwen3_5MoeForConditionalGeneration, Qwen3_5MoeConfig, EXPERTS),
)
