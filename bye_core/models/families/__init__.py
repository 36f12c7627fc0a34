"""The registry of model families. A new family is one file like `llava.py` and one entry in MODULES."""

from __future__ import annotations

from importlib import import_module

from bye_core.models.families.base import Family
from bye_core.models.families.generic import GenericFamily

# The registry: one module a family.
MODULES = (
    "gemma3",
    "gemma4",
    "glm4v",
    "idefics3",
    "internvl",
    "llava",
    "llava_next",
    "llava_onevision",
    "mllama",
    "paligemma",
    "qwen2_5_vl",
    "qwen2_vl",
    "qwen3_5",
    "qwen3_vl",
    "smolvlm",
)  # fmt: skip
_FAMILIES: tuple[type[Family], ...] = tuple(import_module(f"{__name__}.{name}").FAMILY for name in MODULES)
# By the `model_type` in a model's config.json.
FAMILIES: dict[str, type[Family]] = {model_type: family for family in _FAMILIES for model_type in family.model_types}


def family_class(model_type: str) -> type[Family]:
    """Return the family of a model type; the generic one if no family of its own describes it."""
    return FAMILIES.get(model_type, GenericFamily)
