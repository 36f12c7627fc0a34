"""Estimates the number of tokens of prompts from their texts and the sizes of their images, to batch similar lengths.

A wrong estimate costs only padding. The tokenizer is not used: it must not run in two threads at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from bye_core.records import Sample

# Bytes of text in a token, and pixels of an image in a token if the processor does not tell the number of its tokens.
# Any number serves: it only orders the samples (ours).
BYTES_A_TOKEN, PIXELS_A_TOKEN = 4, 28 * 28
FAILURES = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, ImportError, ArithmeticError)


class PromptLengths:
    """Returns the estimated number of tokens of a sample's prompt, whose images have the given (width, height).

    answers  whether the prompt goes on to the end of the first answer
    """

    def __init__(self, processor: Any, answers: bool = False) -> None:
        self._processor = processor
        self._answers = answers
        self._image_tokens = lru_cache(maxsize=65_536)(self._count_image_tokens)

    def __call__(self, sample: Sample, sizes: Sequence[tuple[int, int]]) -> int:
        roles = [turn.role for turn in sample.turns]
        end = roles.index("assistant") + self._answers if "assistant" in roles else len(roles)
        texts = [part for turn in sample.turns[:end] for part in turn.parts if isinstance(part, str)]
        characters = sum(len(text.encode("utf-8", "replace")) for text in texts)
        return characters // BYTES_A_TOKEN + sum(self._image_tokens(*size) for size in sizes if min(size) > 0)

    def _count_image_tokens(self, width: int, height: int) -> int:
        try:
            counts: Any = self._processor._get_num_multimodal_tokens(image_sizes=[(height, width)])
            return int(counts.num_image_tokens[0])
        except FAILURES:  # a processor without this method
            return width * height // PIXELS_A_TOKEN
