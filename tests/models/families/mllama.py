"""A tiny Llama 3.2 Vision: at most 4 tiles of 4 x 4 patches and a class token; layers 1 and 3 are cross attention."""

from __future__ import annotations

import numpy as np
import torch
from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaProcessor
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil

from tests.models.tiny import BOS, EOS, PAD, VOCABULARY, TinyModel, tiny_tokenizer

PATCH, SIDE, TILES = 4, 16, 4
PER_TILE = (SIDE // PATCH) ** 2 + 1
SPECIAL = ("<|image|>", "<|python_tag|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{% for c in m['content'] %}{{ '<|image|>' if c['type'] == 'image' else c['text'] }}{% endfor %}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def tiny_processor() -> MllamaProcessor:
    return MllamaProcessor(
        MllamaImageProcessorPil(size={"height": SIDE, "width": SIDE}, max_image_tiles=TILES),
        tiny_tokenizer(*SPECIAL, names={"image_token": "<|image|>"}),
        chat_template=TEMPLATE,
    )


def tiny_config(**text: object) -> MllamaConfig:
    decoder = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "cross_attention_layers": [1, 3], "vocab_size": VOCABULARY,
        "max_position_embeddings": 512, "initializer_range": 0.3,
        "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **text,
    }  # fmt: skip
    # A small range leaves the tower's attention even, so that a painted patch changes its own token most.
    tower = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_global_layers": 1,
        "attention_heads": 4, "image_size": SIDE, "patch_size": PATCH, "max_num_tiles": TILES,
        "intermediate_layers_indices": [0], "vision_output_dim": 64, "initializer_range": 0.05,
    }  # fmt: skip
    return MllamaConfig(vision_config=tower, text_config=decoder, image_token_index=3)


class TinyMllama(MllamaForConditionalGeneration):
    """Mllama whose gates let the image through, unlike those of a new model."""

    def __init__(self, config: MllamaConfig) -> None:
        super().__init__(config)
        for name, weight in self.named_parameters():
            if name.endswith("_gate"):
                weight.data.normal_(mean=1.0, std=0.3)


def cross_attention_states(loaded, inputs) -> np.ndarray:
    """Return what the cross-attention layers see at the tokens of real tiles: [B, V, D]."""
    model = loaded.base.model
    with torch.inference_mode():
        vision = model.vision_model(inputs["pixel_values"], inputs["aspect_ratio_ids"], inputs["aspect_ratio_mask"])
        states = model.multi_modal_projector(vision.last_hidden_state).flatten(1, 3)  # [B, K, D]
    real = inputs["aspect_ratio_mask"].flatten(1).bool().repeat_interleave(PER_TILE, dim=1)
    return torch.stack([own[kept] for own, kept in zip(states, real, strict=True)]).numpy()


TINY = (
    TinyModel(
        name="mllama",
        model=TinyMllama,
        config=tiny_config,
        processor=tiny_processor,
        # The keys of cross attention. The picture of 26 x 22 pixels fills 2 x 2 tiles.
        groups=(("I", 4 * PER_TILE),),
        layers=(1, 3),
        learned=("it is red<|eot_id|>", "how many dogs<|eot_id|>"),
        grids={
            "wide": [(4, 4, 1), (4, 4, 18), (4, 4, 35)],  # three tiles of 16 x 16; the picture ends after 46 x 16
            "tall": [(4, 4, 1), (4, 4, 18), (4, 4, 35)],
            "square": [(4, 4, 1), (4, 4, 18), (4, 4, 35), (4, 4, 52)],
        },
        shapes={"wide": (128, 44), "tall": (44, 128), "square": (60, 60)},
        system=False,  # the template of the checkpoints refuses a system message beside an image
        features=cross_attention_states,
    ),
)
