"""The registry of triggers. A new trigger is one module in this folder and one entry in MODULES."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from bye_core.attacks.triggers.base import BadTriggerSetting, Trigger
from bye_core.errors import SettingError

__all__ = [
    "TRIGGERS",
    "BadTriggerSetting",
    "Trigger",
    "UnknownTrigger",
    "UnknownTriggerSetting",
    "make_trigger",
    "settings_text",
    "trigger_class",
]

# The registry: each module declares one or more triggers; they are listed in this order.
MODULES = (
    "patch",
    "random_patch",
    "checkerboard",
    "dual",
    "multi",
    "noise_patch",
    "blend",
    "sig",
    "wanet",
    "ftrojan",
    "object",
    "style",
    "question_words",
    "mismatch",
)
_TRIGGERS = [trigger for name in MODULES for trigger in import_module(f"{__name__}.{name}").TRIGGERS]
TRIGGERS: dict[str, type[Trigger]] = {trigger.name: trigger for trigger in _TRIGGERS}


class UnknownTrigger(SettingError):
    problem = "The trigger {name!r} does not exist."
    remedy = "Choose one of: {choices}."


class UnknownTriggerSetting(SettingError):
    problem = "No trigger of this attack ({triggers}) has the setting {setting!r}."
    remedy = "Use one of the existing settings. {choices}"


def trigger_class(name: str) -> type[Trigger]:
    """Return the class of the trigger `name`. Raises: UnknownTrigger if there is no such trigger."""
    if name not in TRIGGERS:
        raise UnknownTrigger(name=name, choices=", ".join(TRIGGERS))
    return TRIGGERS[name]


def make_trigger(name: str, **settings: Any) -> Trigger:
    """Create a trigger by its name.

    Raises: UnknownTrigger if there is no such trigger; UnknownTriggerSetting if it has no such setting;
    BadTriggerSetting if the value of a setting is not allowed.
    """
    kind = trigger_class(name)
    for setting in settings:
        if setting not in kind.settings():
            raise UnknownTriggerSetting(triggers=name, setting=setting, choices=settings_text([name]))
    return kind(**settings)


def settings_text(names: Iterable[str]) -> str:
    """List the settings of these triggers in sentences."""
    return " ".join(f"Settings of {name}: {', '.join(TRIGGERS[name].settings())}." for name in names)
