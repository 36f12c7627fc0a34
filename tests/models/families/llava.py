"""A tiny LLaVA-1.5 with any decoder: 5 x 5 image tokens of pictures cropped to a square."""

from __future__ import annotations

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    Gemma2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
)

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, SIDE = 4, 20  # 5 x 5 image tokens
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'][0]['text'] + ' ' }}{% else %}"
    "{{ m['role'].upper() + ': ' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ c['text'] + ' ' }}{% endif %}{% endfor %}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
DECODERS = {
    "llama": (LlamaConfig, {}),
    "grouped": (LlamaConfig, {"num_key_value_heads": 2}),
    "qwen2": (Qwen2Config, {"num_key_value_heads": 1}),
    "mistral": (MistralConfig, {"num_key_value_heads": 2, "sliding_window": 16}),
    "gemma2": (Gemma2Config, {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 1000}),
}


def tiny_processor(template: str | None = TEMPLATE, **pictures: object) -> LlavaProcessor:
    options = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, **pictures}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(**options),
        tokenizer=tiny_tokenizer(
            "<image>", "<|im_start|>", names={"image_token": "<image>", "start_token": "<|im_start|>"}
        ),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )


def tiny_config(decoder: str = "llama", **text: object) -> LlavaConfig:
    kind, options = DECODERS[decoder]
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    tower = {**sizes, "num_hidden_layers": 2, "image_size": SIDE, "patch_size": PATCH, "projection_dim": 32}
    settings = {
        "vocab_size": VOCABULARY, "max_position_embeddings": 512, "initializer_range": 0.3, **sizes, **options, **text
    }  # fmt: skip
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**tower, initializer_range=0.3),
        text_config=kind(**settings, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS),
        image_token_id=3,
        initializer_range=0.3,
    )


TINY = (
    TinyModel(
        name="llava",
        model=LlavaForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        groups=[
            ("S", "<s>be kind USER:"),
            ("I", 25),
            ("S", ""),
            ("Q", "what colour is the cat ?"),
            ("S", "ASSISTANT:"),
        ],
        options={"decoder": "grouped"},
        layers=(0, 1, 2),
        learned=("it is red </s>", "how many dogs </s>"),
        grids={shape: [(5, 5, 0)] for shape in ("wide", "tall", "square")},
    ),
)


def tiny_model(decoder: str = "llama", **text: object) -> PreTrainedModel:
    return TINY[0].build(decoder=decoder, **text)
