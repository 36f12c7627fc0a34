"""Qwen3-VL, dense or with experts: its early decoder layers add features of several tower layers ("deepstack")."""

from __future__ import annotations

from bye_core.models.families.qwen2_vl import Qwen2VL


class Qwen3VL(Qwen2VL):
    name = "Qwen3-VL"
    model_types = ("qwen3_vl", "qwen3_vl_moe")
    chat_markers = (*Qwen2VL.chat_markers, "</?think>")
    more_projector_names = ("model.visual.deepstack_merger_list",)


FAMILY = Qwen3VL
