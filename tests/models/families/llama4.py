"""A tiny Llama 4: tiles of 16 x 16 pixels with 2 x 2 tokens each; the second of its layers has experts."""

from __future__ import annotations

from transformers import (
    Llama4Config,
    Llama4ForConditionalGeneration,
    Llama4Processor,
    Llama4TextConfig,
    Llama4VisionConfig,
)

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, TILE, MOST_TILES = 4, 16, 4
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|header_start|>' + m['role'] + '<|header_end|>\n\n' }}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<|image|>' }}{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{{ '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|header_start|>assistant<|header_end|>\n\n' }}{% endif %}"
)


def tiny_processor() -> Llama4Processor:
    from transformers import Llama4ImageProcessor  # needs torchvision

    return Llama4Processor(
        image_processor=Llama4ImageProcessor(size={"height": TILE, "width": TILE}, max_patches=MOST_TILES),
        tokenizer=tiny_tokenizer(
            "<|patch|>", "<|image|>", "<|image_start|>", "<|image_end|>", "<|tile_x_separator|>",
            "<|tile_y_separator|>", "<|header_start|>", "<|header_end|>", eos="<|eot|>",
        ),
        patch_size=PATCH,
        chat_template=TEMPLATE,
    )  # fmt: skip


def tiny_config(**text: object) -> Llama4Config:
    sizes = {"hidden_size": 32, "num_attention_heads": 4}
    settings = {"vocab_size": VOCABULARY, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8, **sizes}
    settings |= {"intermediate_size": 48, "intermediate_size_mlp": 48, "initializer_range": 0.3}
    settings |= {"num_local_experts": 2, "interleave_moe_layer_step": 2, **text}
    return Llama4Config(
        vision_config=Llama4VisionConfig(
            num_hidden_layers=2, image_size=TILE, patch_size=PATCH, initializer_range=0.1, intermediate_size=128,
            vision_output_dim=32, projector_input_dim=32, projector_output_dim=32, **sizes,
        ),
        text_config=Llama4TextConfig(**settings, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS),
        image_token_index=3,
        initializer_range=0.3,
    )  # fmt: skip


TINY = (
    TinyModel(
        name="llama4",
        model=Llama4ForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        package="torchvision",
        groups=[
            ("S", "<s><|header_start|>system<|header_end|>\n\nbe kind<|eot|><|header_start|>user<|header_end|>"),
            ("L", "<|image_start|>"),
            # 26 x 22 pixels on a canvas of 2 x 2 tiles, then the overview.
            ("I", 4), ("L", "<|tile_x_separator|>"), ("I", 4), ("L", "<|tile_y_separator|>"),
            ("I", 4), ("L", "<|tile_x_separator|>"), ("I", 4), ("L", "<|tile_y_separator|><|image|>"),
            ("I", 4),
            ("L", "<|image_end|>"),
            ("Q", "what colour is the cat ?"),
            ("S", "<|eot|><|header_start|>assistant<|header_end|>"),
        ],
        layers=(0, 1, 2),
        learned=["it is red<|eot|>", "how many dogs<|eot|>"],
        grids={
            "wide": [(2, 2, 4 * number) for number in range(4)],  # 47 x 16 pixels on 3 tiles
            "tall": [(2, 2, 4 * number) for number in range(4)],
            "square": [(2, 2, 4 * number) for number in range(5)],  # 32 x 32 pixels on 2 x 2 tiles
        },
        shapes={"wide": (97, 33), "tall": (33, 97), "square": (60, 60)},
    ),
)  # fmt: skip
