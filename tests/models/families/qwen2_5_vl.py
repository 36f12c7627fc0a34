"""A tiny Qwen2.5-VL, whose first tower layer computes attention in windows of 2 x 2 tokens."""

from __future__ import annotations

from functools import partial

from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from tests.models.families.grid_thw import CHATML_SYSTEM, SIZES, qwen, qwen_config

TOWER = {**SIZES, "window_size": 16, "fullatt_block_indexes": [1]}
CONFIG = partial(qwen_config, Qwen2_5_VLConfig, TOWER)
TINY = (qwen("qwen2_5_vl", Qwen2_5_VLForConditionalGeneration, CONFIG, Qwen2_5_VLProcessor, CHATML_SYSTEM),)
