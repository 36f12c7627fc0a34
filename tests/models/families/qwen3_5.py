"""A tiny Qwen3.5, dense and with experts: layers of linear attention between those with rows; thinking templates."""

from __future__ import annotations

from functools import partial

from transformers import (
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
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

TOWER = {**VISION, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "num_position_embeddings": 36}
LINEAR = {
    "num_hidden_layers": 4, "layer_types": ["linear_attention", "full_attention"] * 2, "head_dim": 32,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "rope_parameters": rope(2, 1, 1, partial_rotary_factor=0.25),
}  # fmt: skip
EXPERTS = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16
}  # fmt: skip
# The template opens a thought where an answer starts. It closes the thought before the text of the last answer, and
# leaves thoughts out of earlier answers.
THINKING = CHATML.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant\n<think>\n'").replace(
    "{% for c in",
    "{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% for c in",
)


def tiny_config(kind: type = Qwen3_5Config, **text: object) -> Qwen3_5Config:
    return kind(vision_config=TOWER, text_config={**TEXT, **LINEAR, **text}, **QWEN_IDS)


TINY = tuple(
    TinyModel(
        name=name,
        model=model,
        config=config,
        processor=partial(qwen_processor, Qwen3VLProcessor, THINKING, ("<think>", "</think>")),
        groups=(*QWEN_GROUPS[:-1], ("S", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>")),
        layers=(1, 3),
        learned=QWEN_LEARNED,
        grids=GRIDS,
    )
    for name, model, config in (
        ("qwen3_5", Qwen3_5ForConditionalGeneration, tiny_config),
        ("qwen3_5_moe", Qwen3_5MoeForConditionalGeneration, partial(tiny_config, Qwen3_5MoeConfig, **EXPERTS)),
    )
)
