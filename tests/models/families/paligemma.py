"""A tiny PaliGemma and a tiny PaliGemma 2, whose decoder caps its scores: 4 x 4 tokens per picture."""

from __future__ import annotations

from functools import partial

from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration, PaliGemmaProcessor, SiglipImageProcessorPil

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, SIDE = 4, 16
ADDED = 1024 + 128  # the processor adds tokens of places and of masks
DECODERS = {
    "gemma": {"model_type": "gemma"},
    "gemma2": {"model_type": "gemma2", "sliding_window": 14, "query_pre_attn_scalar": 8, "attn_logit_softcapping": 2.0},
}


def tiny_processor() -> PaliGemmaProcessor:
    tokenizer = tiny_tokenizer("<image>", bos="<bos>", eos="<eos>", adds_bos=False, names={"image_token": "<image>"})
    image_processor = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    image_processor.image_seq_length = (SIDE // PATCH) ** 2
    return PaliGemmaProcessor(image_processor, tokenizer)


def tiny_config(decoder: str = "gemma", **text: object) -> PaliGemmaConfig:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    text_config = {
        **sizes, "num_hidden_layers": 3, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": VOCABULARY + ADDED,
        "max_position_embeddings": 512, "initializer_range": 0.3,
        "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **DECODERS[decoder], **text,
    }  # fmt: skip
    # A small range leaves the tower's attention even, so that a painted patch changes its own token most.
    tower = {
        **sizes, "model_type": "siglip_vision_model", "num_hidden_layers": 2, "image_size": SIDE, "patch_size": PATCH,
        "vision_use_head": False, "initializer_range": 0.05,
    }  # fmt: skip
    return PaliGemmaConfig(
        vision_config=tower, text_config=text_config, image_token_index=3, projection_dim=32, hidden_size=32,
        initializer_range=0.3,
    )  # fmt: skip


WHOLE = [(4, 4, 0)]
COMMON = {
    "model": PaliGemmaForConditionalGeneration,
    "processor": tiny_processor,
    # Pictures first, then the start token. The line break ends the part whose tokens see each other both ways.
    "groups": (("I", 16), ("S", "<bos>be kind"), ("Q", "what colour is the cat ?"), ("S", "")),
    "grids": {"wide": WHOLE, "tall": WHOLE, "square": WHOLE},
    "learned": ("it is red<eos>",),  # the format ends with the first answer
    "layers": (0, 1, 2),  # the prompt sees all of itself, also in PaliGemma 2's layers with a sliding window
}

TINY = (
    TinyModel(name="paligemma", config=tiny_config, **COMMON),
    TinyModel(name="paligemma2", config=partial(tiny_config, "gemma2"), plain="eager", **COMMON),
)
