"""A tiny Idefics3: tiles of 2 x 2 tokens, at most 2 x 2 tiles, and a thumbnail of the whole picture last."""

from __future__ import annotations

from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, TILE = 4, 16  # 4 x 4 patches, of which 2 x 2 become one token
MARKERS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
SPECIAL = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *MARKERS)
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ m['role'] | capitalize + (':' if m['content'][0]['type'] == 'image' else ': ') }}"
    "{% for c in m['content'] %}{{ '<image>' if c['type'] == 'image' else c['text'] }}{% endfor %}"
    "{{ '<end_of_utterance>\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
PICTURES = {"size": {"longest_edge": 2 * TILE}, "max_image_size": {"longest_edge": TILE}}


def tiny_processor() -> Idefics3Processor:
    image_processor = Idefics3ImageProcessorPil(**PICTURES)
    return Idefics3Processor(image_processor, tiny_tokenizer(*SPECIAL), image_seq_len=4, chat_template=TEMPLATE)


def tiny_settings(**text: object) -> dict[str, object]:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    decoder = {
        **sizes, "model_type": "llama", "num_hidden_layers": 3, "num_key_value_heads": 2, "vocab_size": VOCABULARY,
        "max_position_embeddings": 512, "initializer_range": 0.3,
        "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **text,
    }  # fmt: skip
    # A small range leaves the tower's attention even, so that a painted patch changes its own token most.
    tower = {**sizes, "num_hidden_layers": 2, "image_size": TILE, "patch_size": PATCH, "initializer_range": 0.05}
    return {
        "vision_config": tower, "text_config": decoder, "image_token_id": 3, "scale_factor": 2, "pad_token_id": PAD
    }  # fmt: skip


def tiny_config(**text: object) -> Idefics3Config:
    return Idefics3Config(**tiny_settings(**text))


FAKE = "<fake_token_around_image>"
# The picture of 26 x 22 pixels has 2 x 2 tiles. Line breaks between tiles are ordinary text.
GROUPS = (
    ("S", "<s>System: be kind<end_of_utterance>\nUser:"),
    ("L", f"{FAKE}<row_1_col_1>"), ("I", 4), ("L", f"{FAKE}<row_1_col_2>"), ("I", 4),
    ("S", ""), ("L", f"{FAKE}<row_2_col_1>"), ("I", 4), ("L", f"{FAKE}<row_2_col_2>"), ("I", 4),
    ("S", ""), ("L", f"{FAKE}<global-img>"), ("I", 4), ("L", FAKE),
    ("Q", "what colour is the cat ?"), ("S", "<end_of_utterance>\nAssistant:"),
)  # fmt: skip
GRIDS = {
    "wide": [(2, 2, 0), (2, 2, 4), (2, 2, 8)],  # one row of two tiles
    "tall": [(2, 2, 0), (2, 2, 4), (2, 2, 8)],  # two rows of one tile
    "square": [(2, 2, 0), (2, 2, 4), (2, 2, 8), (2, 2, 12), (2, 2, 16)],
}

TINY = (
    TinyModel(
        name="idefics3",
        model=Idefics3ForConditionalGeneration,
        config=tiny_config,
        processor=tiny_processor,
        groups=GROUPS,
        layers=(0, 1, 2),
        learned=("it is red<end_of_utterance>", "how many dogs<end_of_utterance>"),
        grids=GRIDS,
    ),
)
