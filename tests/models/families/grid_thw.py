"""What the tiny models of families with `image_grid_thw` share: patches of 4 pixels, 2 x 2 of which are one token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from transformers import PretrainedConfig, PreTrainedModel, ProcessorMixin
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from bye_core.models.processors import without_video
from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

# 97 x 45, 41 x 89 and 60 x 60 pixels are resized to 80 x 32, 32 x 80 and 48 x 48; a token has 8 x 8 pixels.
GRIDS = {"wide": [(4, 10, 0)], "tall": [(10, 4, 0)], "square": [(6, 6, 0)]}
IMAGE = ("I", 9)  # 26 x 22 pixels are resized to 24 x 24
PIXELS = {
    "size": {"shortest_edge": 512, "longest_edge": 3000}, "patch_size": 4, "merge_size": 2, "temporal_patch_size": 2
}  # fmt: skip
VISION = {"depth": 2, "num_heads": 2, "patch_size": 4, "initializer_range": 0.1}
TEXT = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.3,
    "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS,
}  # fmt: skip
# Sizes of the vision part of all but the first Qwen-VL with this processor.
SIZES = {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
QWEN_TOKENS = ("<|im_start|>", "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")
QWEN_IDS = {"image_token_id": 5, "video_token_id": 7, "vision_start_token_id": 4, "vision_end_token_id": 6}
QWEN_GROUPS = (
    ("S", "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user"),
    ("L", "<|vision_start|>"),
    IMAGE,
    ("L", "<|vision_end|>"),
    ("Q", "what colour is the cat ?"),
    ("S", "<|im_end|>\n<|im_start|>assistant"),
)
QWEN_LEARNED = ("it is red<|im_end|>", "how many dogs<|im_end|>")
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Qwen2-VL and Qwen2.5-VL add a system message of their own.
CHATML_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nyou are a helper<|im_end|>\n' }}{% endif %}"
    + CHATML
)


def rope(*sections: int, **options: float) -> dict[str, Any]:
    """Return the settings of rotary positions along time, height and width; `sections` are half the rotated size."""
    return {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": list(sections), **options}


def qwen_processor(kind: type[ProcessorMixin], template: str, tokens: tuple[str, ...] = ()) -> ProcessorMixin:
    return without_video(kind)(
        image_processor=Qwen2VLImageProcessorPil(**PIXELS),
        tokenizer=tiny_tokenizer(*QWEN_TOKENS, *tokens, pad="<|endoftext|>", bos=None, eos="<|im_end|>"),
        chat_template=template,
    )


def qwen(
    name: str,
    model: type[PreTrainedModel],
    config: Callable[..., PretrainedConfig],
    processor: type[ProcessorMixin],
    template: str,
    tokens: tuple[str, ...] = (),
    groups: Sequence[tuple[str, str | int]] = QWEN_GROUPS,
    layers: tuple[int, ...] = (0, 1, 2),
) -> TinyModel:
    """Return a tiny model with the processor of the Qwen families and what they have in common."""
    made = partial(qwen_processor, processor, template, tokens)
    return TinyModel(name, model, config, made, groups, layers, GRIDS, learned=QWEN_LEARNED)


def qwen_config(
    kind: type[PretrainedConfig], tower: Mapping[str, Any], decoder: Mapping[str, Any] | None = None, **text: Any
) -> PretrainedConfig:
    """Return a config with the vision part `tower`; `text` overrides `decoder`, which overrides the usual decoder."""
    decoder = {**TEXT, "rope_parameters": rope(2, 1, 1), **(decoder or {}), **text}
    return kind(vision_config={**VISION, **tower}, text_config=decoder, **QWEN_IDS)
