"""Qwen2.5-VL: its tower computes attention in windows, and restores the order of the tokens afterwards."""

from __future__ import annotations

from bye_core.models.families.qwen2_vl import Qwen2VL


class Qwen25VL(Qwen2VL):
    name = "Qwen2.5-VL"
    model_types = ("qwen2_5_vl",)


FAMILY = Qwen25VL
