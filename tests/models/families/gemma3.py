"""A tiny Gemma 3: 2 x 2 tokens for a picture and for each crop of an elongated one; layers with a sliding window."""

from __future__ import annotations

from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3Processor
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, SIDE = 4, 16  # 4 x 4 patches, of which 2 x 2 become one token
START, SOFT, END = "<start_of_image>", "<image_soft_token>", "<end_of_image>"
TEMPLATE = (
    "{{ bos_token }}{% set system = messages[0]['role'] == 'system' %}"
    "{% for m in (messages[1:] if system else messages) %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' }}"
    "{% if loop.first and system %}{{ messages[0]['content'][0]['text'] + '\n\n' }}{% endif %}"
    "{% for c in m['content'] %}{{ '<start_of_image>' if c['type'] == 'image' else c['text'] | trim }}{% endfor %}"
    "{{ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def tiny_processor(crops: bool = False) -> Gemma3Processor:
    tokenizer = tiny_tokenizer(
        SOFT, START, END, "<start_of_turn>", "<end_of_turn>",
        bos="<bos>", eos="<eos>", names={"image_token": SOFT, "boi_token": START, "eoi_token": END},
    )  # fmt: skip
    options = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 8} if crops else {}
    image_processor = Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE}, **options)
    return Gemma3Processor(image_processor, tokenizer, chat_template=TEMPLATE, image_seq_length=4)


def tiny_config(**text: object) -> Gemma3Config:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4}
    decoder = {
        **sizes, "num_hidden_layers": 3, "num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8,
        "vocab_size": VOCABULARY, "max_position_embeddings": 512, "initializer_range": 0.3,
        "sliding_window": 12, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **text,
    }  # fmt: skip
    # A small range leaves the tower's attention even, so that a painted patch changes its own token most.
    tower = {
        **sizes, "model_type": "siglip_vision_model", "num_hidden_layers": 2, "image_size": SIDE, "patch_size": PATCH,
        "vision_use_head": False, "initializer_range": 0.05,
    }  # fmt: skip
    return Gemma3Config(
        vision_config=tower, text_config=decoder, image_token_index=3, boi_token_index=4, eoi_token_index=5,
        mm_tokens_per_image=4, initializer_range=0.3,
    )  # fmt: skip


class TinyGemma3(Gemma3ForConditionalGeneration):
    """Gemma 3 with a projector that is not zero, as that of a new model is."""

    def __init__(self, config: Gemma3Config) -> None:
        super().__init__(config)
        self.model.multi_modal_projector.mm_input_projection_weight.data.normal_(std=0.3)


WHOLE = [(2, 2, 0)]
GROUPS = (
    ("S", f"<bos><start_of_turn>user\nbe kind\n\n\n\n{START}"), ("I", 4), ("L", END), ("S", ""),
    ("Q", "what colour is the cat ?"), ("S", "<end_of_turn>\n<start_of_turn>model"),
)  # fmt: skip
# The picture of 26 x 22 pixels is too square for crops.
COMMON = {
    "model": TinyGemma3,
    "config": tiny_config,
    "groups": GROUPS,
    "learned": ("it is red<end_of_turn>", "how many dogs<end_of_turn>"),
    "layers": (1,),  # the question and the tags behind the picture fill the window of the other layers
}

TINY = (
    TinyModel(name="gemma3", processor=tiny_processor, grids={"wide": WHOLE, "tall": WHOLE, "square": WHOLE}, **COMMON),
    TinyModel(
        name="gemma3-crops",
        processor=lambda: tiny_processor(crops=True),
        grids={
            "wide": [(2, 2, 0), (2, 2, 4), (2, 2, 8)],  # 97 x 45: the whole picture, and two crops beside each other
            "tall": [(2, 2, 0), (2, 2, 4), (2, 2, 8)],
            "square": WHOLE,
        },
        **COMMON,
    ),
)
