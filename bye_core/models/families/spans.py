"""Which characters of a prompt belong to a role, and which lie in place of its image markers. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bye_core.model_protocol import Prompt


@dataclass(frozen=True)
class ExpandedPrompt:
    """A prompt with texts in place of its image markers. `origins`: each character's place in the prompt, or -1."""

    text: str
    origins: np.ndarray

    def original_spans(self, spans: np.ndarray) -> np.ndarray:
        """Return spans [K, 2] of the expanded text as spans of the prompt; (0, 0) if they hold none of its characters.

        In the expanded text, ordinary text in place of a marker can be one token with its neighbours.
        """
        found = np.zeros_like(spans)
        for number, (first, last) in enumerate(spans):
            own = self.origins[first:last]
            own = own[own >= 0]
            if len(own):
                found[number] = own[0], own[-1] + 1
        return found


def expand(text: str, marker: str, replacements: Sequence[str]) -> ExpandedPrompt | None:
    """Put `replacements` in place of the markers, in order; return None if there are more or fewer markers."""
    pieces = text.split(marker)
    if len(pieces) != len(replacements) + 1:
        return None
    expanded, origins, start = "", [], 0
    for piece, replacement in zip(pieces, [*replacements, ""], strict=True):
        expanded += piece + replacement
        origins += [*range(start, start + len(piece)), *[-1] * len(replacement)]
        start += len(piece) + len(marker)
    return ExpandedPrompt(expanded, np.array(origins, dtype=np.int64))


def role_characters(prompt: Prompt, role: str) -> np.ndarray:
    """Return 1 for each character of the prompt inside a text with this role, without white space around it, else 0."""
    inside = np.zeros(len(prompt.text), dtype=np.int64)
    for span in prompt.spans:
        if span.role == role:
            text = prompt.text[span.start : span.stop]
            start = span.start + len(text) - len(text.lstrip())
            inside[start : start + len(text.strip())] = 1
    return inside
