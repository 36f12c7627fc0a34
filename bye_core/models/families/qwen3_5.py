"""Qwen3.5, dense or with experts: most decoder layers are linear attention, which has no rows."""

from __future__ import annotations

from bye_core.models.families.qwen2_vl import Qwen2VL


class Qwen35(Qwen2VL):
    name = "Qwen3.5"
    model_types = ("qwen3_5", "qwen3_5_moe")
    chat_markers = (*Qwen2VL.chat_markers, "</?think>")


FAMILY = Qwen35
