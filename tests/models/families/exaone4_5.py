"""A tiny EXAONE 4.5: the second layer sees everything, the others the last 16 tokens."""

from __future__ import annotations

from functools import partial

from transformers import Exaone4_5_Config, Exaone4_5_ForConditionalGeneration, Exaone4_5_Processor

from tests.models.families.grid_thw import GRIDS, IMAGE, TEXT, VISION, qwen_processor
from tests.models.tiny import TinyModel

TOWER = {
    **VISION, "hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48, "num_key_value_heads": 2,
    "window_size": 16, "fullatt_block_indexes": [1],
}  # fmt: skip
WINDOWS = {
    "model_type": "exaone4", "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}{{ '[|' + m['role'] + '|]' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<vision><|image_pad|></vision>' }}{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{{ '[|endofturn|]\n' }}{% endfor %}{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}"
)
TOKENS = ("[|system|]", "[|user|]", "[|assistant|]", "[|endofturn|]", "<vision>", "</vision>")


def tiny_config(**text: object) -> Exaone4_5_Config:
    return Exaone4_5_Config(
        vision_config=TOWER, text_config={**TEXT, **WINDOWS, **text}, image_token_id=5, video_token_id=7
    )


TINY = (
    TinyModel(
        name="exaone4_5",
        model=Exaone4_5_ForConditionalGeneration,
        config=tiny_config,
        processor=partial(qwen_processor, Exaone4_5_Processor, TEMPLATE, TOKENS),
        groups=(
            ("S", "[|system|]be kind[|endofturn|]\n[|user|]<vision>"),
            IMAGE,
            ("S", "</vision>"),
            ("Q", "what colour is the cat ?"),
            ("S", "[|endofturn|]\n[|assistant|]"),
        ),
        layers=(1,),  # the window of the others cuts off a part of the picture
        learned=("it is red[|endofturn|]", "how many dogs[|endofturn|]"),
        grids=GRIDS,
    ),
)
