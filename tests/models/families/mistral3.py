"""A tiny Mistral 3: one token for 8 x 8 pixels of a picture whose longest edge has at most 40 pixels."""

from __future__ import annotations

from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralImageProcessor,
    PixtralVisionConfig,
    ProcessorMixin,
)

from bye_core.models.processors import importable_class
from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, LONGEST = 4, 40
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ '[SYSTEM_PROMPT]' + m['content'][0]['text'] + '[/SYSTEM_PROMPT]' }}"
    "{% elif m['role'] == 'user' %}{{ '[INST]' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '[IMG]' }}{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '[/INST]' }}"
    "{% else %}{{ m['content'][0]['text'] + eos_token }}{% endif %}{% endfor %}"
)
SPECIAL = ("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")


def tiny_processor(merge: int = 2) -> ProcessorMixin:
    return importable_class("PixtralProcessor")(
        image_processor=PixtralImageProcessor(
            size={"longest_edge": LONGEST}, patch_size={"height": PATCH, "width": PATCH}
        ),
        tokenizer=tiny_tokenizer(*SPECIAL),
        patch_size=PATCH,
        spatial_merge_size=merge,
        chat_template=TEMPLATE,
    )


def parts(**text: object) -> dict:
    """Return the configs of the tower and of the language model."""
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    settings = {"vocab_size": VOCABULARY, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8, **sizes}
    settings |= {"initializer_range": 0.3, "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **text}
    return {
        # With small weights, a token shows its own pixels more than others.
        "vision_config": PixtralVisionConfig(
            num_hidden_layers=2, image_size=LONGEST, patch_size=PATCH, initializer_range=0.05, **sizes
        ),
        "text_config": MistralConfig(**settings),
        "vision_feature_layer": -1,
        "initializer_range": 0.3,
    }


def tiny_config(**text: object) -> Mistral3Config:
    return Mistral3Config(**parts(**text), image_token_index=3, spatial_merge_size=2)


def prompt_groups(rows: int, columns: int) -> list[tuple[str, str | int]]:
    row = [("I", columns), ("L", "[IMG_BREAK]")]
    return [
        ("S", "<s>[SYSTEM_PROMPT]be kind[/SYSTEM_PROMPT][INST]"),
        *row * (rows - 1),
        ("I", columns),
        ("L", "[IMG_END]"),
        ("Q", "what colour is the cat ?"),
        ("S", "[/INST]"),
    ]


TINY = (
    TinyModel(
        name="mistral3",
        model=Mistral3ForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        groups=prompt_groups(3, 4),  # 26 x 22 pixels
        layers=(0, 1, 2),
        learned=["it is red</s>", "how many dogs</s>"],
        grids={
            "wide": [(3, 5, 0)],  # scaled to 40 x 18 pixels
            "tall": [(5, 3, 0)],  # scaled to 18 x 40
            "square": [(5, 5, 0)],
        },
    ),
)
