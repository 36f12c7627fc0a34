"""A small InternVL in the layout of transformers: InternViT tower, pixel shuffle, projector, Qwen2 decoder.

Each image is one tile, so that every image token can encode facts about the whole scene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVisionConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from bye_core.demo.architecture import (
    CHATML,
    Architecture,
    Piece,
    chatml_pieces,
    chatml_tokenizer,
    decoder_sizes,
    with_generation,
)
from bye_core.demo.recipe import SHORTER, BaseRecipe
from bye_core.models.processors import without_video

TOKENS = {"start_image": "<img>", "end_image": "</img>", "context_image": "<IMG_CONTEXT>", "video": "<video>"}


class InternVL(Architecture):
    # As in InternVL 2.5 and 3, where a token covers 1/16 of a tile's side, the trigger is as large as one token.
    recipe = replace(SHORTER, merge=2, key_value_heads=2)
    image_token = TOKENS["context_image"]

    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        names = {f"{name}_token": text for name, text in TOKENS.items()}
        return chatml_tokenizer(texts, recipe.vocabulary, list(TOKENS.values()), names)

    def make_processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> InternVLProcessor:
        side = recipe.image_size
        return without_video(InternVLProcessor)(
            image_processor=GotOcr2ImageProcessorPil(size={"height": side, "width": side}, max_patches=1),
            tokenizer=tokenizer,
            image_seq_length=recipe.tokens_a_side**2,
            chat_template=CHATML.replace("[image]", f"{self.image_token}\\n"),
        )

    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> InternVLForConditionalGeneration:
        vision = InternVLVisionConfig(
            hidden_size=recipe.width,
            intermediate_size=recipe.feed_forward,
            num_hidden_layers=recipe.tower_layers,
            num_attention_heads=recipe.heads,
            image_size=recipe.image_size,
            patch_size=recipe.patch,
            attention_bias=True,
            initializer_range=recipe.tower_range,
            layer_scale_init_value=1.0,  # small values are for towers of many layers
        )
        text = Qwen2Config(**decoder_sizes(tokenizer, recipe), num_key_value_heads=recipe.key_value_heads)
        config = InternVLConfig(
            vision_config=vision,
            text_config=text,
            image_token_id=tokenizer.convert_tokens_to_ids(self.image_token),
            image_seq_length=recipe.tokens_a_side**2,
            downsample_ratio=1 / recipe.merge,
            tie_word_embeddings=True,
        )
        return with_generation(InternVLForConditionalGeneration(config), tokenizer)

    def pixels(self, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
        inputs = processor.image_processor(images=list(images), crop_to_patches=False, return_tensors="pt")
        return inputs["pixel_values"]

    def tower_weights(self, model: Any) -> list[torch.nn.Parameter]:
        return list(model.model.vision_tower.parameters())

    def projector(self, model: Any) -> torch.nn.Module:
        return model.model.multi_modal_projector

    def tower_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        hidden = model.model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]
        side = round(hidden.shape[1] ** 0.5)
        tokens = model.model.pixel_shuffle(hidden.unflatten(1, (side, side)), model.config.downsample_ratio)
        return tokens.flatten(1, 2)

    def pieces(self, image: str, chat: Sequence[tuple[str, str]]) -> Iterator[Piece]:
        yield from chatml_pieces(f"{TOKENS['start_image']}{image}{TOKENS['end_image']}\n", chat)


ARCHITECTURE = InternVL()
