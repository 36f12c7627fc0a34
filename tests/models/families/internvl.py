"""A tiny InternVL: tiles of 2 x 2 tokens, at most 4 tiles, and a thumbnail of the whole picture last."""

from __future__ import annotations

from transformers import InternVLConfig, InternVLForConditionalGeneration, InternVLProcessor, Qwen3Config
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from bye_core.models.processors import without_video
from tests.models.tiny import EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, TILE = 4, 16  # 4 x 4 patches, of which 2 x 2 become one token
NAMES = {"start_image": "<img>", "end_image": "</img>", "context_image": "<IMG_CONTEXT>", "video": "<video>"}
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% for c in m['content'] %}{{ '<IMG_CONTEXT>\n' if c['type'] == 'image' else c['text'] }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_processor() -> InternVLProcessor:
    return without_video(InternVLProcessor)(
        image_processor=GotOcr2ImageProcessorPil(size={"height": TILE, "width": TILE}, min_patches=1, max_patches=4),
        tokenizer=tiny_tokenizer(
            *NAMES.values(), "<|im_start|>", "<|im_end|>", bos=None,
            names={f"{name}_token": text for name, text in NAMES.items()},
        ),
        image_seq_length=4,
        chat_template=TEMPLATE,
    )  # fmt: skip


def tiny_config(**text: object) -> InternVLConfig:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    decoder = {
        **sizes, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": VOCABULARY,
        "max_position_embeddings": 512, "initializer_range": 0.3, "pad_token_id": PAD, "eos_token_id": EOS, **text,
    }  # fmt: skip
    # A small range leaves the tower's attention even, so that a painted patch changes its own token most.
    tower = {
        **sizes, "num_hidden_layers": 2, "image_size": [TILE, TILE], "patch_size": [PATCH, PATCH],
        "initializer_range": 0.05,
    }  # fmt: skip
    return InternVLConfig(vision_config=tower, text_config=Qwen3Config(**decoder), image_token_id=5, image_seq_length=4)


TINY = (
    TinyModel(
        name="internvl",
        model=InternVLForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        # The picture of 26 x 22 pixels has 2 x 2 tiles.
        groups=(
            ("S", "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user"), ("L", "<img>"), ("I", 20),
            ("L", "</img>"), ("S", ""), ("Q", "what colour is the cat ?"), ("S", "<|im_end|>\n<|im_start|>assistant"),
        ),
        layers=(0, 1, 2),
        learned=("it is red<|im_end|>", "how many dogs<|im_end|>"),
        grids={
            "wide": [(2, 2, 0), (2, 2, 4), (2, 2, 8)],  # one row of two tiles
            "tall": [(2, 2, 0), (2, 2, 4), (2, 2, 8)],  # two rows of one tile
            "square": [(2, 2, 0), (2, 2, 4), (2, 2, 8), (2, 2, 12), (2, 2, 16)],
        },
    ),
)  # fmt: skip
