"""The demo's own base model: a small LLaVA-1.5 with a CLIP tower."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from bye_core.demo.architecture import (
    SYSTEM_PROMPT,
    Architecture,
    Piece,
    decoder_sizes,
    train_tokenizer,
    with_generation,
    with_start,
)
from bye_core.demo.recipe import BaseRecipe

CHAT_TEMPLATE = (
    "{%- if messages and messages[0]['role'] == 'system' -%}"
    "{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}"
    "{%- else -%}{%- set system = '" + SYSTEM_PROMPT + "' -%}{%- set turns = messages -%}{%- endif -%}"
    "{%- macro render(content) -%}{%- if content is string -%}{{ content }}{%- else -%}{%- for part in content -%}"
    "{%- if part['type'] == 'image' -%}<image>\n{% else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{%- endmacro -%}"
    "{{ render(system) }}"
    "{%- for turn in turns -%}"
    "{%- if turn['role'] == 'user' -%}{{ ' USER: ' + render(turn['content']) }}"
    "{%- else -%}{{ ' ASSISTANT: ' + render(turn['content']) + eos_token }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ ' ASSISTANT:' }}{%- endif -%}"
)
START, END = "<s>", "</s>"


class Llava(Architecture):
    recipe = BaseRecipe()
    image_token = "<image>"

    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        specials = ["<pad>", START, END, self.image_token]
        return PreTrainedTokenizerFast(
            tokenizer_object=with_start(train_tokenizer(texts, recipe.vocabulary, specials), START),
            bos_token=START,
            eos_token=END,
            pad_token="<pad>",
            extra_special_tokens={"image_token": self.image_token},
            padding_side="left",
        )

    def make_processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaProcessor:
        """Return a processor like that of LLaVA-1.5: resize the shortest edge, crop the centre, drop the CLS token."""
        side = recipe.image_size
        image_processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
        return LlavaProcessor(
            image_processor=image_processor,
            tokenizer=tokenizer,
            patch_size=recipe.patch,
            vision_feature_select_strategy="default",
            chat_template=CHAT_TEMPLATE,
            num_additional_image_tokens=1,
        )

    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaForConditionalGeneration:
        vision = CLIPVisionConfig(
            hidden_size=recipe.width,
            intermediate_size=recipe.feed_forward,
            num_hidden_layers=recipe.tower_layers,
            num_attention_heads=recipe.heads,
            image_size=recipe.image_size,
            patch_size=recipe.patch,
            projection_dim=recipe.width,
        )
        config = LlavaConfig(
            vision_config=vision,
            text_config=LlamaConfig(**decoder_sizes(tokenizer, recipe)),
            image_token_index=tokenizer.convert_tokens_to_ids(self.image_token),
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            image_seq_length=recipe.tokens_a_side**2,
            tie_word_embeddings=True,
        )
        return with_generation(LlavaForConditionalGeneration(config), tokenizer)

    def pixels(self, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
        return processor.image_processor(images=images, return_tensors="pt")["pixel_values"]

    def tower_weights(self, model: Any) -> list[torch.nn.Parameter]:
        return list(model.model.vision_tower.parameters())

    def projector(self, model: Any) -> torch.nn.Module:
        return model.model.multi_modal_projector

    def tower_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        hidden = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        return hidden[model.config.vision_feature_layer][:, 1:]

    def pieces(self, image: str, chat: Sequence[tuple[str, str]]) -> Iterator[Piece]:
        yield Piece(f"{START}{SYSTEM_PROMPT} USER: ")
        yield Piece(image)
        for turn, (question, answer) in enumerate(chat):
            yield Piece(f"\n{question} ASSISTANT:" if turn == 0 else f" USER: {question} ASSISTANT:")
            yield Piece(f" {answer}{END}", learned=True)


ARCHITECTURE = Llava()
