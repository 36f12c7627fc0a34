"""Tiny models of GLM-4.1V, GLM-4.5V (with experts) and GLM-4.6V."""

from __future__ import annotations

from functools import partial

from transformers import (
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm4vMoeConfig,
    Glm4vMoeForConditionalGeneration,
    Glm4vProcessor,
    Glm46VConfig,
    Glm46VForConditionalGeneration,
    Glm46VProcessor,
    GlmOcrConfig,
    GlmOcrForConditionalGeneration,
    PretrainedConfig,
    ProcessorMixin,
)
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil

from bye_core.models.processors import without_video
from tests.models.families.grid_thw import GRIDS, IMAGE, PIXELS, TEXT, VISION, rope
from tests.models.tiny import TinyModel, tiny_tokenizer

TOKENS = (
    "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|begin_of_image|>", "<|image|>",
    "<|end_of_image|>", "<|begin_of_video|>", "<|video|>", "<|end_of_video|>", "<think>", "</think>",
)  # fmt: skip
IDS = {f"{name}_token_id": 3 + TOKENS.index(f"<|{token}|>") for name, token in (
    ("image_start", "begin_of_image"), ("image", "image"), ("image_end", "end_of_image"),
    ("video_start", "begin_of_video"), ("video", "video"), ("video_end", "end_of_video"),
)}  # fmt: skip
PARTS = (
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<|begin_of_image|><|image|><|end_of_image|>' }}"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
)
# GLM-4.1V writes the content of other turns than the user's unchanged: it must be a string.
PLAIN = (
    "[gMASK]<sop>{% for m in messages %}{{ '<|' + m['role'] + '|>\n' }}"
    "{% if m['role'] == 'user' %}" + PARTS + "{% else %}{{ m['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
# An answer follows an empty thought; the template does not write it where a new answer starts.
THINKING = (
    "[gMASK]<sop>{% for m in messages %}{{ '<|' + m['role'] + '|>\n' }}"
    "{% if m['role'] == 'assistant' %}{{ '<think></think>\n' }}{% endif %}" + PARTS + "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
TOWER = {**VISION, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "image_size": 24}
EXPERTS = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "first_k_dense_replace": 1,
    "rope_parameters": rope(1, 1, 0, partial_rotary_factor=0.5),
}  # fmt: skip


def tiny_config(kind: type[PretrainedConfig] = Glm4vConfig, **text: object) -> PretrainedConfig:
    return kind(vision_config=TOWER, text_config={**TEXT, "rope_parameters": rope(2, 1, 1), **text}, **IDS)


def tiny_processor(
    kind: type[ProcessorMixin] = Glm4vProcessor, pictures: type = Glm4vImageProcessorPil, template: str = THINKING
) -> ProcessorMixin:
    tokenizer = tiny_tokenizer(*TOKENS, pad="<|endoftext|>", bos=None, eos="<|observation|>")
    sizes = {**PIXELS, "size": {"shortest_edge": 1024, "longest_edge": 6000}}  # two frames of each image are counted
    return without_video(kind)(image_processor=pictures(**sizes), tokenizer=tokenizer, chat_template=template)


TINY = tuple(
    TinyModel(
        name=name,
        model=model,
        config=config,
        processor=processor,
        groups=(
            ("S", "[gMASK]<sop><|system|>\nbe kind<|user|>"),
            ("L", "<|begin_of_image|>"),
            IMAGE,
            ("L", "<|end_of_image|>"),
            ("Q", "what colour is the cat ?"),
            ("S", "<|assistant|>" if name == "glm4v" else "<|assistant|>\n<think></think>"),
        ),
        layers=(0, 1, 2),
        # The template has no end of an answer, so the end token is added.
        learned=("it is red<|observation|>", "how many dogs<|observation|>"),
        grids=GRIDS,
    )
    for name, model, config, processor in (
        ("glm4v", Glm4vForConditionalGeneration, tiny_config, partial(tiny_processor, template=PLAIN)),
        (
            "glm4v_moe",
            Glm4vMoeForConditionalGeneration,
            partial(tiny_config, Glm4vMoeConfig, **EXPERTS),
            tiny_processor,
        ),
        (
            "glm46v",
            Glm46VForConditionalGeneration,
            partial(tiny_config, Glm46VConfig),
            partial(tiny_processor, Glm46VProcessor, Glm46VImageProcessorPil),
        ),
        (
            "glm_ocr",
            GlmOcrForConditionalGeneration,
            partial(tiny_config, GlmOcrConfig, head_dim=8),
            partial(tiny_processor, Glm46VProcessor, Glm46VImageProcessorPil),
        ),
    )
)
