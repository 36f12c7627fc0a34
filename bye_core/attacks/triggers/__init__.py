"""The registry of triggers. A new trigger is one module in this folder and one entry in TRIGGERS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bye_core.attacks.triggers.base import BadTriggerSetting, Trigger
from bye_core.attacks.triggers.blend import Blend
from bye_core.attacks.triggers.checkerboard import Checkerboard
from bye_core.attacks.triggers.dual import Dual
from bye_core.attacks.triggers.ftrojan import FTrojan
from bye_core.attacks.triggers.multi import Multi
from bye_core.attacks.triggers.noise_patch import NoisePatch
from bye_core.attacks.triggers.patch import Patch
from bye_core.attacks.triggers.question_words import Prefix, RareWord, Suffix
from bye_core.attacks.triggers.random_patch import RandomPatch
from bye_core.attacks.triggers.sig import Sig
from bye_core.attacks.triggers.wanet import WaNet
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

TRIGGERS: dict[str, type[Trigger]] = {
    trigger.name: trigger
    for trigger in (
        *(Patch, RandomPatch, Checkerboard, Dual, Multi, NoisePatch),
        *(Blend, Sig, WaNet, FTrojan),
        *(Prefix, Suffix, RareWord),
    )
}


class UnknownTrigger(SettingError):
    problem = "There is no trigger called {name!r}."
    remedy = "Choose one of: {choices}."


class UnknownTriggerSetting(SettingError):
    problem = "{triggers} has no setting called {setting!r}."
    remedy = "Use a setting that exists. {choices}"


def trigger_class(name: str) -> type[Trigger]:
    """Raises: UnknownTrigger."""
    if name not in TRIGGERS:
        raise UnknownTrigger(name=name, choices=", ".join(TRIGGERS))
    return TRIGGERS[name]


def make_trigger(name: str, **settings: Any) -> Trigger:
    """Create a trigger by its name. Raises: UnknownTrigger, UnknownTriggerSetting, BadTriggerSetting."""
    kind = trigger_class(name)
    for setting in settings:
        if setting not in kind.settings():
            raise UnknownTriggerSetting(triggers=name, setting=setting, choices=settings_text([name]))
    return kind(**settings)


def settings_text(names: Iterable[str]) -> str:
    """List the settings of these triggers in sentences."""
    return " ".join(f"Settings of {name}: {', '.join(TRIGGERS[name].settings())}." for name in names)
