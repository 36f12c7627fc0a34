"""The number fields in which Adjust shows the settings of every detector except BYE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from bye_core.detect import DETECTORS


class Setting(NamedTuple):
    name: str
    label: str
    info: str


def settings_of(method: str) -> list[Setting]:
    """Return the settings of `method` that have a label. BYE's settings have no label: they have their own controls."""
    if method not in DETECTORS:
        return []
    declared = [(field.name, field.metadata) for field in fields(DETECTORS[method].settings)]
    return [Setting(name, about["label"], about["help"]) for name, about in declared if about["label"]]


# Number fields on the page: as many as any method needs.
SLOTS = max(len(settings_of(method)) for method in DETECTORS)


def typed(method: str, values: Mapping[str, float | None]) -> dict[str, Any] | None:
    """Convert the field values to the types of the settings. Return None if a field is empty."""
    kinds = {field.name: type(field.default) for field in fields(DETECTORS[method].settings)}
    numbers = {name: value for name, value in values.items() if value is not None}
    if len(numbers) < len(values):
        return None
    return {
        name: int(value) if kinds[name] is int and value == int(value) else value for name, value in numbers.items()
    }
