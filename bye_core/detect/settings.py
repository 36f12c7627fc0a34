"""Declares and checks the settings of detectors: each field has a help text, a label and bounds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from bye_core.detect.errors import BadSetting

# Which formula is used: that of the paper or that of the authors' code.
VARIANTS = ("paper", "reference")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The values that a setting may have. The default value determines the type.

    low, high     smallest and largest allowed value
    above, below  exclusive bounds: the value must be above or below them
    choices       the only allowed values, if they are names
    unit          unit of the value, for messages
    optional      whether None is allowed
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    optional: bool = False

    def allow(self, value: object, default: object) -> bool:
        """Return whether a setting with this default may have this value."""
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        if isinstance(default, bool):
            return isinstance(value, bool)
        return (is_whole(value) if isinstance(default, int) else is_number(value)) and self._contain(value)

    def _contain(self, value: Any) -> bool:
        return bool(
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def describe(self, default: object) -> str:
        """Return the allowed values as a phrase, such as "a whole number from 1 up"."""
        if self.choices:
            phrase = f"one of: {', '.join(self.choices)}"
        elif isinstance(default, bool):
            phrase = "true or false"
        else:
            phrase = ("a whole number" if isinstance(default, int) else "a number") + self._range()
        return phrase + (", or nothing" if self.optional else "")

    def _range(self) -> str:
        unit = f" of {self.unit}" if self.unit else ""
        start = f" above {self.above:g}" if self.above is not None else ""
        start = f" from {self.low:g}" if self.low is not None else start
        end = f" to below {self.below:g}" if self.below is not None else ""
        end = f" to {self.high:g}" if self.high is not None else end
        return f"{unit}{start}{end or (' up' if self.low is not None else '')}"


def setting(default: Any, help: str, label: str = "", check: bool = True, **bounds: Any) -> Any:
    """Declare a field of a settings dataclass.

    `help` says what the setting does. The app shows only settings that have a `label`. `bounds` are fields of Bounds.
    Without `check`, the settings class must check the value itself.
    """
    known = Bounds(**bounds) if check else None
    return dataclasses.field(default=default, metadata={"help": help, "label": label, "bounds": known})


def share_setting(default: float, help: str, label: str = "", **bounds: Any) -> Any:
    """Declare a field that is a share from 0 to 1."""
    if "above" not in bounds:
        bounds["low"] = 0
    if "below" not in bounds:
        bounds["high"] = 1
    return setting(default, help, label, **bounds)


def seed_setting(label: str = "", help: str = "seed of the random generator") -> Any:
    return setting(0, help, label, low=0)


def check_settings(settings: Any) -> None:
    """Check every declared field of a settings dataclass. Raises: BadSetting if a value is not allowed."""
    for field in dataclasses.fields(settings):
        bounds, value = field.metadata["bounds"], getattr(settings, field.name)
        if bounds is not None:
            require(bounds.allow(value, field.default), field.name, value, bounds.describe(field.default))


def require(holds: bool, name: str, value: object, choices: str) -> None:
    """Raise BadSetting for the setting `name` unless `holds` is true; `choices` describes the valid values."""
    if not holds:
        raise BadSetting(name=name, value=value, choices=choices)


def is_number(value: object) -> bool:
    """Return whether `value` is a finite number and not a bool."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(math.isfinite(value))


def is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
