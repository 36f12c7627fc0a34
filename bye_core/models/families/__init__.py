"""The registry of model families. A new family is one file like `llava.py` and one entry in MODULES."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bye_core.models.families.base import Family
from bye_core.models.families.generic import GenericFamily

# The registry: one module a family.
MODULES = (
    "exaone4_5",
    "gemma3",
    "gemma4",
    "glm4v",
    "idefics3",
    "internvl",
    "lfm2_vl",
    "llama4",
    "llava",
    "llava_next",
    "llava_onevision",
    "mistral3",
    "mllama",
    "paligemma",
    "pixtral",
    "qwen2_5_vl",
    "qwen2_vl",
    "qwen3_5",
    "qwen3_vl",
    "smolvlm",
)  # fmt: skip
_FAMILIES: tuple[type[Family], ...] = tuple(import_module(f"{__name__}.{name}").FAMILY for name in MODULES)
# By the `model_type` in a model's config.json; without families that share it, see Family.tower_types.
FAMILIES: dict[str, type[Family]] = {
    model_type: family for family in _FAMILIES if not family.tower_types for model_type in family.model_types
}


def family_class(config: Any) -> type[Family]:
    """Return the family of a model's config; the generic one if no family of its own describes it."""
    tower = getattr(getattr(config, "vision_config", None), "model_type", "")
    for family in _FAMILIES:
        if config.model_type in family.model_types and tower in family.tower_types:
            return family
    return FAMILIES.get(config.model_type, GenericFamily)
