"""Qwen2-VL."""

from __future__ import annotations

from typing import ClassVar

from bye_core.models.families.grid_thw import GridThwFamily


class Qwen2VL(GridThwFamily):
    name = "Qwen2-VL"
    model_types: ClassVar[tuple[str, ...]] = ("qwen2_vl",)
    image_markers = (r"<\|(?:image|video|vision)_pad\|>", r"<\|vision_(?:start|end)\|>")
    chat_markers: ClassVar[tuple[str, ...]] = (r"<\|im_(?:start|end)\|>", r"<\|endoftext\|>")
    layout_tokens = ("<|vision_start|>", "<|vision_end|>")


FAMILY = Qwen2VL
