"""A tiny LLaVA-NeXT: an overview of 5 x 5 tokens, then a mosaic of tiles of 20 x 20 pixels without its padding."""

from __future__ import annotations

from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
)

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, SIDE = 4, 20
CANVASES = [[20, 40], [40, 20], [40, 40], [60, 20], [20, 60]]  # (height, width)
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'][0]['text'] + '\n' }}"
    "{% elif m['role'] == 'user' %}{{ '[INST] ' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'][0]['text'] + eos_token }}{% endif %}{% endfor %}"
)


def tiny_processor() -> LlavaNextProcessor:
    return LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=CANVASES
        ),
        tokenizer=tiny_tokenizer("<image>", names={"image_token": "<image>"}),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )


def tiny_config(**text: object) -> LlavaNextConfig:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "initializer_range": 0.3}
    settings = {"vocab_size": VOCABULARY, "num_hidden_layers": 3, "num_key_value_heads": 2, **sizes, **text}
    return LlavaNextConfig(
        vision_config=CLIPVisionConfig(
            num_hidden_layers=2, image_size=SIDE, patch_size=PATCH, projection_dim=32, **sizes
        ),
        text_config=LlamaConfig(**settings, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS),
        image_token_index=3,
        image_grid_pinpoints=CANVASES,
        initializer_range=0.3,
    )


TINY = (
    TinyModel(
        name="llava_next",
        model=LlavaNextForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        # 26 x 22 pixels on 40 x 40: the overview, and 8 of 10 rows with 10 columns and a newline token each.
        groups=[
            ("S", "<s>be kind\n[INST]"),
            ("I", 25 + 8 * 11),
            ("S", ""),
            ("Q", "what colour is the cat ?"),
            ("S", "[/INST]"),
        ],
        layers=(0, 1, 2),
        learned=("it is red</s>", "how many dogs</s>"),
        grids={
            "wide": [(5, 5, 0), (5, 11, 25)],  # on 60 x 20: 10 of 15 columns, and one more as both sides lose two
            "tall": [(5, 5, 0), (11, 5, 25)],  # on 20 x 60
            "square": [(5, 5, 0), (10, 10, 25)],  # on 40 x 40
        },
    ),
)
