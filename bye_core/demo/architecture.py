"""What a kind of base model declares, so that one recipe trains all of them on the demo's scenes.

A kind is one module of this package with a subclass of Architecture, named in recipe.FAMILIES.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from bye_core.demo.recipe import BaseRecipe
from bye_core.demo.scenes import QUESTION_KINDS, ask, make_scene

SYSTEM_PROMPT = "You answer questions about pictures."
NO_LABEL = -100
SPECIAL = re.compile(r"<[^<>]*>")
PAD, END = "<|endoftext|>", "<|im_end|>"
# The chat format of InternVL and Qwen. `image`: the markers in place of an image.
CHATML = (
    "{%- if messages[0]['role'] != 'system' -%}"
    "{{ '<|im_start|>system\n" + SYSTEM_PROMPT + "<|im_end|>\n' }}{%- endif -%}"
    "{%- for turn in messages -%}{{ '<|im_start|>' + turn['role'] + '\n' }}"
    "{%- if turn['content'] is string -%}{{ turn['content'] }}{%- else -%}{%- for part in turn['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{ '[image]' }}{%- else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


class Piece(NamedTuple):
    """A part of a chat's text; `learned`: whether the model is trained to write it."""

    text: str
    learned: bool = False


class Architecture(ABC):
    """Builds an untrained model with its processor, and runs its parts one after the other.

    In the shapes, B counts images, V the image tokens of one image, D the numbers that the projector receives for a
    token, and S the pixels along a side of the resized image.
    """

    recipe: ClassVar[BaseRecipe]
    image_token: ClassVar[str]

    @abstractmethod
    def make_tokenizer(self, texts: Iterator[str], recipe: BaseRecipe) -> PreTrainedTokenizerFast:
        """Return a tokenizer trained on `texts`."""

    @abstractmethod
    def make_processor(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> Any:
        """Return the family's processor with its chat template."""

    @abstractmethod
    def make_model(self, tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> Any:
        """Return a model of the recipe's sizes with random weights."""

    @abstractmethod
    def pixels(self, processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
        """Return the images as the tower receives them, before any division into patches: [B, 3, S, S]."""

    @abstractmethod
    def tower_weights(self, model: Any) -> list[torch.nn.Parameter]:
        """Return the weights of the vision tower, without those of the projector."""

    @abstractmethod
    def projector(self, model: Any) -> torch.nn.Module: ...

    @abstractmethod
    def tower_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Return the tokens that the projector receives, row by row: [B, 3, S, S] -> [B, V, D]."""

    def project(self, model: Any, tokens: torch.Tensor) -> torch.Tensor:
        """Return the tokens that the language model receives: [B, V, D] -> [B, V, width]."""
        return self.projector(model)(tokens)

    def positions(self, model: Any, ids: torch.Tensor, mask: torch.Tensor, recipe: BaseRecipe) -> dict[str, Any]:
        """Return arguments of the language model that name the position of each token; none by default."""
        return {}

    @abstractmethod
    def pieces(self, image: str, chat: Sequence[tuple[str, str]]) -> Iterator[Piece]:
        """Yield the text of a chat of (question, answer) about one image; `image` is the text of all its tokens."""

    def conversation(
        self, tokenizer: PreTrainedTokenizerFast, image_tokens: int, chat: Sequence[tuple[str, str]]
    ) -> tuple[list[int], list[int]]:
        """Encode all questions and answers about one image as one chat. Returns (ids, labels), of equal length.

        `ids` holds the token ids. `labels` repeats the ids of answer tokens and holds NO_LABEL for all other tokens.
        """
        ids: list[int] = []
        labels: list[int] = []
        for text, learned in self.pieces(self.image_token * image_tokens, chat):
            own = tokenizer(text, add_special_tokens=False).input_ids
            ids += own
            labels += own if learned else [NO_LABEL] * len(own)
        return ids, labels

    def corpus(self, seed: int, license_text: str) -> Iterator[str]:
        """Yield the texts to train the tokenizer on: chats of the demo, and an English text with common words."""
        rng = np.random.default_rng(seed)
        for _ in range(300):
            scene = make_scene(rng)
            for kind in QUESTION_KINDS:
                yield SPECIAL.sub("", "".join(piece.text for piece in self.pieces("", [ask(scene, kind)])))
        yield license_text


def architecture(family: str) -> Architecture:
    """Return the architecture of a family of recipe.FAMILIES."""
    made: Architecture = import_module(f"bye_core.demo.{family}").ARCHITECTURE
    return made


def train_tokenizer(texts: Iterator[str], vocabulary: int, specials: Sequence[str]) -> Tokenizer:
    """Train a byte-level BPE tokenizer, which can encode any text. `specials` get the first ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=list(specials), initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def with_start(tokenizer: Tokenizer, start: str) -> Tokenizer:
    """Make the tokenizer begin each text with the token `start`."""
    pair = (start, tokenizer.token_to_id(start))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{start} $A", special_tokens=[pair])
    return tokenizer


def chatml_pieces(image: str, chat: Sequence[tuple[str, str]]) -> Iterator[Piece]:
    """Yield the text of a chat in the format CHATML."""
    yield Piece(f"<|im_start|>system\n{SYSTEM_PROMPT}{END}\n")
    for question, answer in chat:
        yield Piece(f"<|im_start|>user\n{image}{question}{END}\n<|im_start|>assistant\n")
        yield Piece(f"{answer}{END}", learned=True)
        yield Piece("\n")
        image = ""


def chatml_tokenizer(
    texts: Iterator[str], vocabulary: int, image_tokens: Sequence[str], names: dict[str, str]
) -> PreTrainedTokenizerFast:
    """Return a tokenizer for CHATML; `names` makes attributes of tokens, such as {"image_token": "<image>"}."""
    return PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(texts, vocabulary, [PAD, "<|im_start|>", END, *image_tokens]),
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=names,
        padding_side="left",
    )


def decoder_sizes(tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> dict[str, Any]:
    """Return the options of a decoder's config that all families share."""
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": recipe.width,
        "intermediate_size": recipe.feed_forward,
        "num_hidden_layers": recipe.layers,
        "num_attention_heads": recipe.heads,
        "max_position_embeddings": 2048,
        "initializer_range": recipe.initializer_range,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def with_generation(model: Any, tokenizer: PreTrainedTokenizerFast) -> Any:
    """Set the tokens with which the model ends and pads an answer."""
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
