"""How much memory a training takes, from sizes alone; a rough figure, to be compared with what the device has."""

from __future__ import annotations

from dataclasses import dataclass

# LoRA's weights, their gradients and AdamW's two moments, all kept in float32 whatever the model is in.
BYTES_A_TRAINED_WEIGHT = 16


@dataclass(frozen=True)
class Stack:
    """Transformer layers of one width; `tokens` of one sample go through them."""

    layers: int
    hidden: int
    inner: int
    tokens: int


def adapter_bytes(trained: int) -> int:
    return BYTES_A_TRAINED_WEIGHT * trained


def activation_bytes(stack: Stack, samples: int, element: int, dropout: bool, checkpointing: bool) -> int:
    """What is kept for the backward pass of `samples` samples, in bytes (count ours, after Korthikanti et al. 2022).

    A layer keeps, a token, in numbers of `element` bytes: the inputs of its seven linear layers and what lies between
    them, 14 widths and 4 inner widths; with LoRA's dropout a second copy of the seven inputs. With checkpointing only
    every layer's input is kept, and one layer at a time is computed again.
    """
    inputs = 6 * stack.hidden + stack.inner
    one_layer = 14 * stack.hidden + 4 * stack.inner + (inputs if dropout else 0)
    kept = stack.layers * stack.hidden + one_layer if checkpointing else stack.layers * one_layer
    return samples * stack.tokens * kept * element


def logit_bytes(vocabulary: int, tokens: int, samples: int, element: int) -> int:
    """Logits and their gradient in the model's numbers, both again in float32 for the loss, and its softmax."""
    return samples * tokens * vocabulary * (2 * element + 12)
