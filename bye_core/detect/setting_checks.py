"""Checks of settings that detectors share."""

from __future__ import annotations

import math

import numpy as np

from bye_core.detect.errors import BadSetting

# Whose formula: the paper's or the authors' code's.
VARIANTS = ("paper", "reference")


def require(holds: bool, name: str, value: object, choices: str) -> None:
    """BadSetting, with the valid `choices`, unless the setting `name` holds."""
    if not holds:
        raise BadSetting(name=name, value=value, choices=choices)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(math.isfinite(value))


def is_index(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 0


def is_share(value: object) -> bool:
    return is_number(value) and 0 <= value <= 1
