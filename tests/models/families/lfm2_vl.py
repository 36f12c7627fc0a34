"""A tiny LFM2-VL: one token for 8 x 8 pixels; larger pictures as tiles of 2 x 2 tokens and a thumbnail."""

from __future__ import annotations

from transformers import (
    Lfm2Config,
    Lfm2VlConfig,
    Lfm2VlForConditionalGeneration,
    Lfm2VlProcessor,
    Siglip2VisionConfig,
)

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, FACTOR, TILE, MOST_TILES = 4, 2, 16, 4
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<image>' }}{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TILES = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 11) for column in range(1, 11)]


def tiny_processor() -> Lfm2VlProcessor:
    from transformers import Lfm2VlImageProcessor  # needs torchvision

    return Lfm2VlProcessor(
        image_processor=Lfm2VlImageProcessor(
            downsample_factor=FACTOR,
            encoder_patch_size=PATCH,
            tile_size=TILE,
            max_tiles=MOST_TILES,
            min_image_tokens=4,
            max_image_tokens=8,
        ),
        tokenizer=tiny_tokenizer(
            "<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>", "<|im_start|>", *TILES, eos="<|im_end|>"
        ),
        chat_template=TEMPLATE,
    )


def tiny_config(**text: object) -> Lfm2VlConfig:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    settings = {"num_hidden_layers": 3, "num_key_value_heads": 2, "layer_types": ["conv", *["full_attention"] * 2]}
    settings |= {"vocab_size": VOCABULARY + 200, "block_auto_adjust_ff_dim": False, "initializer_range": 0.3, **text}
    return Lfm2VlConfig(
        vision_config=Siglip2VisionConfig(
            num_hidden_layers=2, patch_size=PATCH, num_patches=16, vision_use_head=False, initializer_range=0.1, **sizes
        ),
        text_config=Lfm2Config(**sizes, **settings, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS),
        image_token_id=3,
        downsample_factor=FACTOR,
        projector_hidden_size=32,
        initializer_range=0.3,
    )


TINY = (
    TinyModel(
        name="lfm2_vl",
        model=Lfm2VlForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        package="torchvision",
        groups=[
            ("S", "<s><|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user"),
            ("L", "<|image_start|>"),
            ("I", 6),  # 26 x 22 pixels, scaled to 24 x 16
            ("L", "<|image_end|>"),
            ("Q", "what colour is the cat ?"),
            ("S", "<|im_end|>\n<|im_start|>assistant"),
        ],
        layers=(1, 2),
        learned=["it is red<|im_end|>", "how many dogs<|im_end|>"],
        grids={
            "wide": [(2, 2, 0), (2, 2, 4), (1, 4, 8)],  # 2 tiles side by side, the thumbnail has 32 x 8 pixels
            "tall": [(2, 2, 0), (2, 2, 4), (4, 1, 8)],
            "square": [(2, 2, 4 * number) for number in range(5)],  # 4 tiles, the thumbnail has 16 x 16 pixels
        },
    ),
)
