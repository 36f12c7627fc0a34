"""The registry of targets: the answers that an attacker plants. A new one is one module and one entry in MODULES."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from bye_core.attacks.targets.appended import Appended
from bye_core.attacks.targets.base import Target, TargetSetting, UnfitTarget
from bye_core.attacks.targets.fixed_answer import FixedAnswer
from bye_core.attacks.targets.refusal import REFUSAL, Refusal
from bye_core.attacks.targets.swapped_word import NotOneWord, SameWord, SwappedWord
from bye_core.errors import SettingError

__all__ = [
    "REFUSAL",
    "TARGETS",
    "Appended",
    "FixedAnswer",
    "NestedTargets",
    "NotOneWord",
    "Refusal",
    "SameWord",
    "SwappedWord",
    "Target",
    "TargetSetting",
    "UnfitTarget",
    "UnknownTarget",
    "UnknownTargetSetting",
    "any_target",
    "make_target",
    "target_of_text",
]

# The registry: each module declares one or more targets; they are listed in this order.
MODULES = (
    "fixed_answer",
    "appended",
    "refusal",
    "swapped_word",
    "one_kind",
    "flip",
    "paraphrase",
    "other_question",
    "two",
)
_TARGETS = [target for name in MODULES for target in import_module(f"{__name__}.{name}").TARGETS]
TARGETS: dict[str, type[Target]] = {target.kind: target for target in _TARGETS}


class UnknownTarget(SettingError):
    problem = "The target kind {kind!r} does not exist."
    remedy = "Choose one of: {choices}."


class UnknownTargetSetting(SettingError):
    problem = "The target {kind} has no setting {setting!r}."
    remedy = "Use one of its settings: {choices}."


class NestedTargets(SettingError):
    problem = "A part of the target two cannot be the target two."
    remedy = "Give two other targets, such as `--two refusal flip`."


def target_class(kind: str) -> type[Target]:
    """Return the class of this kind of target. Raises: UnknownTarget if there is no such kind."""
    if kind not in TARGETS:
        raise UnknownTarget(kind=kind, choices=", ".join(TARGETS))
    return TARGETS[kind]


def make_target(kind: str = FixedAnswer.kind, **values: Any) -> Target:
    """Create a target of this kind from its settings or from its record.

    Raises: UnknownTarget if there is no such kind; UnknownTargetSetting if it has no such setting; other errors of the
    class SettingError if a value is not valid.
    """
    made = target_class(kind)
    known = [field.name for field in made.__dataclass_fields__.values() if field.metadata.get("recorded")]
    for name in values:
        if name not in known:
            raise UnknownTargetSetting(kind=kind, setting=name, choices=", ".join(made.settings()) or "none")
    return made(**values)


def target_of_text(text: str) -> Target:
    """Create a target from its short form, KIND or KIND=VALUE, such as "append=Buy now." or "swap=red blue".

    Without VALUE, the target has its example values. Several values are separated by spaces. The JSON text of a record
    is another short form.
    Raises: as make_target.
    """
    if text.lstrip().startswith("{"):
        return _of_json(text)
    kind, given, value = text.strip().partition("=")
    names = target_class(kind).arguments
    values = dict(zip(names, value.split(None, len(names) - 1), strict=False)) if given and len(names) > 1 else {}
    if given and len(names) == 1:
        values = {names[0]: value}
    return make_target(kind, **{**TARGETS[kind].examples(), **values})


def _of_json(text: str) -> Target:
    try:
        return make_target(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise UnknownTarget(kind=text, choices=", ".join(TARGETS)) from error


def any_target(value: Target | str | Mapping[str, Any]) -> Target:
    """Return a target unchanged, or create it from its short form or its record. Raises: as make_target."""
    if isinstance(value, Target):
        return value
    return target_of_text(value) if isinstance(value, str) else make_target(**value)
