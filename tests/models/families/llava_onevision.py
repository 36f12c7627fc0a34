"""A tiny LLaVA-OneVision: tiles of 21 x 21 pixels, of which the tower reads 20 x 20; mosaics of at most 7 tiles."""

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

PATCH, SIDE = 4, 21
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
            num_hidden_layers=2,
            image_size=SIDE,
            patch_size=PATCH,
            vision_use_head=False,
            **{**sizes, "initializer_range": 0.1},  # a token then shows its own pixels more than others
        ),
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
        # 26 x 22 pixels on 42 x 42: the overview, and 8 of 10 rows with 10 columns and a newline token each.
        groups=[
            ("S", "<|im_start|>system \nbe kind<|im_end|><|im_start|>user"),
            ("I", 25 + 8 * 11),
            ("S", ""),
            ("Q", "what colour is the cat ?"),
            ("S", "<|im_end|><|im_start|>assistant"),
        ],
        layers=(0, 1, 2),
        learned=["it is red<|im_end|>", "how many dogs<|im_end|>"],
        grids={
            "wide": [(5, 5, 0), (10, 20, 25)],  # on 84 x 42: 9 of 10 rows, and one more
            "tall": [(5, 5, 0), (20, 10, 25)],  # on 42 x 84
            "square": [(5, 5, 0), (13, 13, 25)],  # on 84 x 84: 20 x 20, more than 1.1^2 times 7 tiles
        },
        shapes={"wide": (168, 78), "tall": (78, 168), "square": (126, 126)},
    ),
)
