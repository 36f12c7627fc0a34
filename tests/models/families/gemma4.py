"""A tiny Gemma 4: at most 70 tokens of 2 x 2 patches per picture; two of four layers share keys with earlier ones."""

from __future__ import annotations

from functools import partial

import transformers
from transformers import Gemma4Config, Gemma4ForConditionalGeneration, Gemma4Processor
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from bye_core.models.processors import without_video
from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, POOL = 4, 2
NAMES = {
    "image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>",
    "audio_token": "<|audio|>", "boa_token": "<|audio>", "eoa_token": "<audio|>",
}  # fmt: skip
SPECIAL = (*NAMES.values(), "<|turn>", "<turn|>", "<|channel>", "<channel|>")
# Larger models have experts, and an empty thought in their template.
EXPERTS = {"enable_moe_block": True, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 16}
THOUGHT = "<|channel>thought\n<channel|>"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
    "{% for c in m['content'] %}{{ '<|image|>' if c['type'] == 'image' else c['text'] | trim }}{% endfor %}"
    "{{ '<turn|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\n' }}@{% endif %}"
)


def tiny_processor(thought: str = "") -> Gemma4Processor:
    return without_video(Gemma4Processor)(
        feature_extractor=transformers.Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessorPil(patch_size=PATCH, pooling_kernel_size=POOL, max_soft_tokens=70),
        tokenizer=tiny_tokenizer(*SPECIAL, bos="<bos>", eos="<eos>", names=NAMES),
        video_processor=None,
        chat_template=TEMPLATE.replace("@", thought),
        image_seq_length=70,
    )


def tiny_config(**text: object) -> Gemma4Config:
    vocabulary = VOCABULARY + 8  # the processor adds a token for videos
    decoder = {
        "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 4,
        "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 16, "num_kv_shared_layers": 2,
        "vocab_size": vocabulary, "vocab_size_per_layer_input": vocabulary, "hidden_size_per_layer_input": 8,
        "max_position_embeddings": 512, "initializer_range": 0.3, "use_bidirectional_attention": "vision",
        "sliding_window": 12, "layer_types": ["sliding_attention", "full_attention"] * 2,
        "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **text,
    }  # fmt: skip
    # A small range leaves the tower's attention even, so that a painted patch changes its own token most.
    tower = {
        "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8,
        "num_hidden_layers": 2, "patch_size": PATCH, "pooling_kernel_size": POOL, "position_embedding_size": 512,
        "initializer_range": 0.05,
    }  # fmt: skip
    return Gemma4Config(
        vision_config=tower, text_config=decoder, audio_config=None, initializer_range=0.3,
        image_token_id=3, boi_token_id=4, eoi_token_id=5, audio_token_id=6, boa_token_id=7, eoa_token_index=8,
        video_token_id=VOCABULARY,
    )  # fmt: skip


COMMON = {
    "model": Gemma4ForConditionalGeneration,
    "config": tiny_config,
    "layers": (1, 3),  # the question and the tags behind the picture fill the window of the other layers
    "grids": {"wide": [(5, 12, 0)], "tall": [(12, 5, 0)], "square": [(8, 8, 0)]},
}
PROMPT = [
    ("S", "<bos><|turn>system\nbe kind<turn|>\n<|turn>user"), ("L", "<|image>"), ("I", 63), ("L", "<image|>"),
    ("Q", "what colour is the cat ?"),
]  # fmt: skip

TINY = (
    TinyModel(
        name="gemma4",
        processor=tiny_processor,
        groups=[*PROMPT, ("S", "<turn|>\n<|turn>model")],
        learned=("it is red<turn|>", "how many dogs<turn|>"),
        **COMMON,
    ),
    TinyModel(
        name="gemma4-experts",
        options=EXPERTS,
        processor=partial(tiny_processor, THOUGHT),
        groups=[*PROMPT, ("S", f"<turn|>\n<|turn>model\n{THOUGHT}")],
        learned=("it is red<turn|>", "how many dogs<turn|>"),
        **COMMON,
    ),
)
