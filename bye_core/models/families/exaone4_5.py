"""EXAONE 4.5: a tower like that of Qwen2.5-VL before a decoder in which most layers have a sliding window."""

from __future__ import annotations

from bye_core.models.families.grid_thw import GridThwFamily


class Exaone45(GridThwFamily):
    name = "EXAONE 4.5"
    model_types = ("exaone4_5",)
    image_markers = (r"<\|(?:image|video)_pad\|>", r"<\|?vision_?(?:start|end)\|?>", r"</?vision>")
    chat_markers = (r"\[\|(?:system|user|assistant|endofturn|tool)\|\]", "</?think>")


FAMILY = Exaone45
