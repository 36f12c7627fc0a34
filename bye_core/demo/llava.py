"""Builds the demo's model before training: tokenizer, processor and a small LLaVA with random weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from bye_core.demo.recipe import BaseRecipe
from bye_core.demo.scenes import QUESTION_KINDS, ask, make_scene

SYSTEM_PROMPT = "You answer questions about pictures."
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


def corpus(seed: int, license_text: str) -> Iterator[str]:
    """Yield the texts to train the tokenizer on: chats of the demo, and an English text that contains common words."""
    rng = np.random.default_rng(seed)
    for _ in range(300):
        scene = make_scene(rng)
        for kind in QUESTION_KINDS:
            question, answer = ask(scene, kind)
            yield f"{SYSTEM_PROMPT} USER: \n{question} ASSISTANT: {answer}"
    yield license_text


def make_tokenizer(corpus: Iterator[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer, which can encode any text, on the texts of the demo."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<s>", "</s>", "<image>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=specials, initial_alphabet=sorted(alphabet))
    tokenizer.train_from_iterator(corpus, trainer)
    start = ("<s>", tokenizer.token_to_id("<s>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[start])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )


def make_processor(tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaProcessor:
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


def make_model(tokenizer: PreTrainedTokenizerFast, recipe: BaseRecipe) -> LlavaForConditionalGeneration:
    """Return a LLaVA of the recipe's sizes with random weights."""
    vision = CLIPVisionConfig(
        hidden_size=recipe.width,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.tower_layers,
        num_attention_heads=recipe.heads,
        image_size=recipe.image_size,
        patch_size=recipe.patch,
        projection_dim=recipe.width,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        max_position_embeddings=2048,
        initializer_range=recipe.initializer_range,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=recipe.tokens_a_side**2,
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
