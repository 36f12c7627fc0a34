"""A small Qwen2.5-VL: a tower with attention in windows, a merger, and positions along time, height and width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.vision_utils import get_vision_window_index

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

START, IMAGE, END, VIDEO = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"
FRAMES = 2  # the tower reads each image twice, as two frames of a video
WINDOW = 3  # image tokens along a side of a window
SECTIONS = (1, 1.5, 1.5)  # relative shares of the rotated size for time, height and width, as in the released models


class Qwen25VL(Architecture):
    recipe = replace(SHORTER, merge=2, key_value_heads=2)
    image_token = IMAGE

    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        return chatml_tokenizer(texts, recipe.vocabulary, [START, IMAGE, END, VIDEO], {})

    def make_processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> Qwen2_5_VLProcessor:
        """Return a processor that resizes an image of any shape to at most the recipe's number of pixels."""
        pixels = recipe.image_size**2
        return without_video(Qwen2_5_VLProcessor)(
            image_processor=Qwen2VLImageProcessorPil(
                size={"shortest_edge": pixels // 4, "longest_edge": pixels},
                patch_size=recipe.patch,
                merge_size=recipe.merge,
                temporal_patch_size=FRAMES,
            ),
            tokenizer=tokenizer,
            chat_template=CHATML.replace("[image]", f"{START}{IMAGE}{END}"),
        )

    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> Qwen2_5_VLForConditionalGeneration:
        vision = {
            "depth": recipe.tower_layers,
            "hidden_size": recipe.width,
            "intermediate_size": recipe.feed_forward,
            "num_heads": recipe.heads,
            "out_hidden_size": recipe.width,
            "patch_size": recipe.patch,
            "spatial_merge_size": recipe.merge,
            "temporal_patch_size": FRAMES,
            "window_size": WINDOW * recipe.merge * recipe.patch,
            # One layer of full attention after each of window attention: with few layers, facts must travel fast.
            "fullatt_block_indexes": list(range(1, recipe.tower_layers, 2)),
            "initializer_range": recipe.tower_range,
        }
        unit = recipe.width // recipe.heads // 8
        text = {
            **decoder_sizes(tokenizer, recipe),
            "num_key_value_heads": recipe.key_value_heads,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [round(unit * share) for share in SECTIONS],
            },
        }
        ids = dict(zip(("image", "video", "vision_start", "vision_end"), (IMAGE, VIDEO, START, END), strict=True))
        config = Qwen2_5_VLConfig(
            vision_config=vision,
            text_config=text,
            tie_word_embeddings=True,
            **{f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in ids.items()},
        )
        return with_generation(Qwen2_5_VLForConditionalGeneration(config), tokenizer)

    def pixels(self, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
        own = processor.image_processor
        inputs = own(images=list(images), return_tensors="pt")
        rows, columns = (inputs["image_grid_thw"][0, 1:] // own.merge_size).tolist()
        shape = (len(images), rows, columns, own.merge_size, own.merge_size, 3, FRAMES, own.patch_size, own.patch_size)
        patches = inputs["pixel_values"].view(shape)[:, :, :, :, :, :, 0]
        return patches.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(
            len(images), 3, rows * own.merge_size * own.patch_size, columns * own.merge_size * own.patch_size
        )

    def patches(self, model: Any, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (patches [B * P, 3 * FRAMES * patch ** 2], sizes [B, 3]) as the processor does: [B, 3, H, W] -> P."""
        vision = model.config.vision_config
        merge, patch = vision.spatial_merge_size, vision.patch_size
        count, _, height, width = pixels.shape
        rows, columns = height // patch, width // patch
        cut = pixels.reshape(count, 3, rows // merge, merge, patch, columns // merge, merge, patch)
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6).expand(*([-1] * 6), FRAMES, -1, -1)
        sizes = torch.tensor([[1, rows, columns]] * count)
        return cut.reshape(count * rows * columns, -1), sizes

    def tower_weights(self, model: Any) -> list[torch.nn.Parameter]:
        visual = model.model.visual
        return [*visual.patch_embed.parameters(), *visual.blocks.parameters()]

    def projector(self, model: Any) -> torch.nn.Module:
        return model.model.visual.merger

    def tower_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        patches, sizes = self.patches(model, pixels)
        visual, vision = model.model.visual, model.config.vision_config
        hidden = visual(patches, grid_thw=sizes).last_hidden_state
        # The windows change the order of the tokens; the model restores it after the merger.
        order, _ = get_vision_window_index(
            sizes, spatial_merge_size=vision.spatial_merge_size, window_size=vision.window_size,
            patch_size=vision.patch_size,
        )  # fmt: skip
        merged = hidden.reshape(len(order), -1)[torch.argsort(order)]
        return merged.unflatten(0, (len(pixels), -1))

    def project(self, model: Any, tokens: torch.Tensor) -> torch.Tensor:
        # The merger takes the patches of a token apart from each other.
        patches = tokens.unflatten(-1, (model.config.vision_config.spatial_merge_size**2, -1))
        return self.projector(model)(patches).unflatten(0, tokens.shape[:2])

    def positions(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, recipe: BaseRecipe) -> dict[str, Any]:
        side = recipe.tokens_a_side * recipe.merge
        sizes = torch.tensor([[1, side, side]] * len(ids))
        images = (ids == model.config.image_token_id).int()
        places, _ = model.model.get_rope_index(ids, mm_token_type_ids=images, image_grid_thw=sizes, attention_mask=mask)
        return {"position_ids": places}

    def pieces(self, image: str, chat: Sequence[tuple[str, str]]) -> Iterator[Piece]:
        yield from chatml_pieces(f"{START}{image}{END}", chat)


ARCHITECTURE = Qwen25VL()
