"""Tiny models with random weights and a tokenizer trained on the spot. A second family is one entry of FAMILIES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    Gemma2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2Config,
)

from bye_core.records import Sample, Turn

PATCH, SIDE = 4, 20  # 5 x 5 image tokens
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'][0]['text'] + ' ' }}{% else %}"
    "{{ m['role'].upper() + ': ' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ c['text'] + ' ' }}{% endif %}{% endfor %}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
CORPUS = ["USER: what colour is the cat ? ASSISTANT: it is red . you are a kind helper", "how many dogs are there"] * 4
DECODERS = {
    "llama": (LlamaConfig, {}),
    "grouped": (LlamaConfig, {"num_key_value_heads": 2}),
    "qwen2": (Qwen2Config, {"num_key_value_heads": 1}),
    "mistral": (MistralConfig, {"num_key_value_heads": 2, "sliding_window": 16}),
    "gemma2": (Gemma2Config, {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 1000}),
}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<s>", "</s>", "<image>", "<|im_start|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=specials, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>", "start_token": "<|im_start|>"},
    )


def tiny_processor(template: str | None = TEMPLATE, **pictures: object) -> LlavaProcessor:
    options = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}, **pictures}
    return LlavaProcessor(
        image_processor=CLIPImageProcessor(**options),
        tokenizer=tiny_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )


def tiny_config(decoder: str = "llama", **text: object) -> LlavaConfig:
    kind, options = DECODERS[decoder]
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}
    tower = {**sizes, "num_hidden_layers": 2, "image_size": SIDE, "patch_size": PATCH, "projection_dim": 32}
    settings = {"vocab_size": 400, "max_position_embeddings": 512, "initializer_range": 0.3, **sizes, **options, **text}
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**tower, initializer_range=0.3),
        text_config=kind(**settings, pad_token_id=0, bos_token_id=1, eos_token_id=2),
        image_token_id=3,
        initializer_range=0.3,
    )


@dataclass(frozen=True)
class TinyFamily:
    """How to build a tiny model of one family: its class, config (of a decoder) and processor."""

    model: type[PreTrainedModel]
    config: Callable[..., PretrainedConfig]
    processor: Callable[[], ProcessorMixin]


# By the `model_type` of bye_core.models.families.FAMILIES.
FAMILIES = {"llava": TinyFamily(LlavaForConditionalGeneration, tiny_config, tiny_processor)}


def tiny_model(decoder: str = "llama", family: str = "llava", **text: object) -> PreTrainedModel:
    torch.manual_seed(0)
    return FAMILIES[family].model(FAMILIES[family].config(decoder, **text)).eval()


def save_tiny(folder: Path, decoder: str = "llama", family: str = "llava", **text: object) -> Path:
    """Save a model folder like those on the hub."""
    tiny_model(decoder, family, **text).save_pretrained(folder)
    FAMILIES[family].processor().save_pretrained(folder)
    return folder


def picture(seed: int, width: int = 26, height: int = 22) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def sample(id: str, question: str = "what colour is the cat ?", images: int = 1, system: str = "") -> Sample:
    """A question with an answer that no prompt may hold."""
    turns = [Turn("system", (system,))] if system else []
    turns += [Turn("user", (*range(images), question)), Turn("assistant", ("red secret",))]
    return Sample(id, 0, tuple(turns), tuple(f"{id}-{n}.png" for n in range(images)))
