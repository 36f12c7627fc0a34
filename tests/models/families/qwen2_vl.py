"""A tiny Qwen2-VL."""

from __future__ import annotations

from functools import partial

from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor

from tests.models.families.grid_thw import CHATML_SYSTEM, qwen, qwen_config

TOWER = {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
CONFIG = partial(qwen_config, Qwen2VLConfig, TOWER)
TINY = (qwen("qwen2_vl", Qwen2VLForConditionalGeneration, CONFIG, Qwen2VLProcessor, CHATML_SYSTEM),)
