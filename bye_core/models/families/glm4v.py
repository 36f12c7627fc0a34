"""GLM-4.1V, GLM-4.5V, GLM-4.6V and GLM-OCR."""

from __future__ import annotations

from bye_core.models.families.grid_thw import GridThwFamily


class Glm4V(GridThwFamily):
    name = "GLM-4V"
    model_types = ("glm4v", "glm4v_moe", "glm46v", "glm_ocr")
    image_markers = (r"<\|(?:image|video)\|>", r"<\|(?:begin|end)_of_(?:image|video)\|>")
    chat_markers = (r"\[gMASK\]", "<sop>", r"<\|(?:system|user|assistant|observation|endoftext)\|>", "</?think>")
    frames = 2
    layout_tokens = ("<|begin_of_image|>", "<|end_of_image|>")


FAMILY = Glm4V
