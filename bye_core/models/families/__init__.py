"""The registry of model families. A new family is one file like `llava.py` and one entry in the tuple below."""

from __future__ import annotations

from bye_core.models.families.base import Family
from bye_core.models.families.llava import Llava

# By the `model_type` in a model's config.json.
FAMILIES: dict[str, type[Family]] = {model_type: family for family in (Llava,) for model_type in family.model_types}
