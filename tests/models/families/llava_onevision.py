"""A tiny LLaVA-OneVision: tiles of 22 x 22 pixels, of which the tower reads 20 x 20; mosaics of at most 7 tiles."""

from __future__ import annotations

from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    Qwen2Config,
    SiglipVisionConfig,
)

from bye_core.models.processors import without_video
from tests.models.tiny import PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, SIDE = 4, 22
CANVASES = [[SIDE * rows, SIDE * columns] for rows in range(1, 5) for columns in range(1, 5)]
RATIO = "anyres_max_7"
# As in the real template, the images of a message come before its texts.
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ' ' }}"
    "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>' }}{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ '\n' + c['text'] }}{% endfor %}{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_processor() -> LlavaOnevisionProcessor:
    return without_video(LlavaOnevisionProcessor)(
        image_processor=LlavaOnevisionImageProcessor(
            size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=CANVASES
        ),
        tokenizer=tiny_tokenizer("<image>", "<video>", "<|im_start|>", bos=None, eos="<|im_end|>"),
        num_image_tokens=25,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
        vision_aspect_ratio=RATIO,
    )


def tiny_config(**text: object) -> LlavaOnevisionConfig:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "initializer_range": 0.3}
    settings = {"vocab_size": VOCABULARY, "num_hidden_layers": 3, "num_key_value_heads": 2, **sizes, **text}
    return LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(
            num_hidden_layers=2, image_size=SIDE, patch_size=PATCH, vision_use_head=False,
            **{**sizes, "initializer_range": 0.1},  # a token then shows its own pixels more than others
        ),  # fmt: skip
        text_config=Qwen2Config(**settings, pad_token_id=PAD, bos_token_id=None, eos_token_id=2),
        image_token_index=3,
        video_token_index=4,
        image_grid_pinpoints=CANVASES,
        vision_feature_select_strategy="full",
        vision_aspect_ratio=RATIO,
        initializer_range=0.3,
    )


TINY = (
    TinyModel(
        name="llava_onevision",
        model=LlavaOnevisionForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        # 26 x 22 pixels on 44 x 22: the overview, and 5 rows with 5 of 10 columns, one more, and a newline token.
        groups=[
            ("S", "<|im_start|>system \nbe kind<|im_end|><|im_start|>user"),
            ("I", 25 + 5 * 7),
            ("S", ""),
            ("Q", "what colour is the cat ?"),
            ("S", "<|im_end|><|im_start|>assistant"),
        ],
        layers=(0, 1, 2),
        learned=["it is red<|im_end|>", "how many dogs<|im_end|>"],
        grids={
            "wide": [(5, 5, 0), (10, 20, 25)],  # on 88 x 44: 9 of 10 rows, and one more
            "tall": [(5, 5, 0), (20, 10, 25)],  # on 44 x 88
            "square": [(5, 5, 0), (13, 13, 25)],  # on 66 x 66: 15 x 15, more than 1.1^2 times 7 tiles
        },
    ),
)
