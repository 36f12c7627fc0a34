"""SmolVLM and SmolVLM2: the tiles and markers of Idefics3."""

from __future__ import annotations

from bye_core.models.families.idefics3 import Idefics3


class SmolVlm(Idefics3):
    name = "SmolVLM"
    model_types = ("smolvlm",)


FAMILY = SmolVlm
