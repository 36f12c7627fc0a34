"""The supported families by `config.model_type`. A new family is one file beside `llava.py` and one line here."""

from __future__ import annotations

from bye_core.models.families.base import Family
from bye_core.models.families.llava import Llava

FAMILIES: dict[str, type[Family]] = {"llava": Llava}
