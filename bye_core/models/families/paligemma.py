"""PaliGemma and PaliGemma 2: one square of tokens per image; the tokens of a prompt see each other in both directions.

Checkpoints have no chat template, so this family always uses the format of pretraining: the images, the start token,
the question, a line break, the answer, the end token. The question sees all of itself; the answer sees only what comes
before. The first line break separates them, so line breaks in a system message or question become spaces. This format
has no place for a chat of several answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bye_core.model_protocol import Images, Prompt
from bye_core.models.errors import TileTokenCount, UnusableChatTemplate
from bye_core.models.families.base import Family
from bye_core.records import Grid, Sample, Turn

if TYPE_CHECKING:
    from transformers import BatchFeature

TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>' }}{% endfor %}{% endfor %}"
    "{{ bos_token }}"
    "{% for m in messages %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ ('' if loop.first else ' ') + c['text'] }}{% endfor %}"
    "{{ {'system': ' ', 'user': '\n'}.get(m['role'], eos_token) }}{% endfor %}"
)


class PaliGemma(Family):
    name = "PaliGemma"
    model_types = ("paligemma",)
    image_markers = ("<image>",)
    chat_markers = (r"<(?:bos|eos|pad)>",)
    language_model_name = "model.language_model"
    projector_name = "model.multi_modal_projector"
    tower_name = "model.vision_tower"
    head_name = "lm_head"
    template = TEMPLATE
    answer_type = 1

    def adds_special_tokens(self, text: str) -> bool:
        """Return false: the start token comes after the images, and the template writes it."""
        return False

    def render(self, turns: Sequence[Turn], generation: bool) -> Prompt:
        roles = [turn.role for turn in turns]
        if "assistant" in roles[:-1]:
            raise UnusableChatTemplate(roles=", ".join(roles), reason="PaliGemma's format ends with the first answer.")
        return super().render([turn if turn.role == "assistant" else one_line(turn) for turn in turns], generation)

    def process(self, texts: Sequence[str], images: Sequence[Images], padding_side: str) -> BatchFeature:
        """Encode prompts without the processor, which can mark an answer only if it comes as a separate text.

        In `token_type_ids` [B, K], 0 marks the part that is seen in both directions, and 1 the answer.
        """
        from transformers import BatchFeature

        processor = self.processor
        expanded = [text.replace(self.image_token, self.image_token * processor.image_seq_length) for text in texts]
        inputs = processor.tokenizer(
            expanded,
            padding=True,
            padding_side=padding_side,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        offsets = inputs["offset_mapping"]  # [B, K, 2]
        types = inputs["attention_mask"].new_zeros(inputs["attention_mask"].shape)
        for row, text in enumerate(expanded):
            answer = (text.find("\n") + 1) or len(text)
            types[row] = (offsets[row, :, 0] >= answer) & (offsets[row, :, 1] > 0)
        encoded = {**{name: inputs[name] for name in ("input_ids", "attention_mask")}, "token_type_ids": types}
        flat = [image for own in images for image in own]
        if flat:
            pixels = processor.image_processor(flat, return_tensors="pt", **processor.images_kwargs)
            encoded["pixel_values"] = pixels["pixel_values"]
        return BatchFeature(encoded)

    def grids(self, inputs: BatchFeature, sample: Sample, sizes: Sequence[tuple[int, int]], tokens: int) -> list[Grid]:
        per_image = self.processor.image_seq_length
        side = math.isqrt(per_image)
        if tokens != per_image * len(sizes) or side * side != per_image:
            raise TileTokenCount(id=sample.id, tokens=tokens, tiles=len(sizes), rows=side, columns=side)
        return [Grid(n, side, side, n * per_image) for n in range(len(sizes))]


def one_line(turn: Turn) -> Turn:
    """Return the turn with spaces for line breaks in its texts."""
    parts = (part if isinstance(part, int) else " ".join(part.splitlines()) for part in turn.parts)
    return replace(turn, parts=tuple(parts))


FAMILY = PaliGemma
