"""Pixtral: LLaVA with Pixtral's vision tower, whose images become tokens as in Mistral 3."""

from __future__ import annotations

from bye_core.models.families.mistral3 import Mistral3


class Pixtral(Mistral3):
    name = "Pixtral"
    model_types = ("llava",)
    tower_types = ("pixtral",)


FAMILY = Pixtral
