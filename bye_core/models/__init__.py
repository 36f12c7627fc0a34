"""Loading a vision-language model, and one small adapter a family: prompt, image tokens, token -> picture grid."""

from bye_core.models.families import FAMILIES
from bye_core.models.families.base import PADDING, Family
from bye_core.models.loading import LoadedModel, load_model

__all__ = ["FAMILIES", "PADDING", "Family", "LoadedModel", "load_model"]
