"""A whole attack: triggers, how they are shared out, and the target. It can be written down and read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bye_core.attacks.base import Trigger
from bye_core.attacks.blend import Blend
from bye_core.attacks.checkerboard import Checkerboard
from bye_core.attacks.dual import Dual
from bye_core.attacks.ftrojan import FTrojan
from bye_core.attacks.multi import Multi
from bye_core.attacks.noise_patch import NoisePatch
from bye_core.attacks.patch import Patch
from bye_core.attacks.random_place import RandomPlace
from bye_core.attacks.sig import Sig
from bye_core.attacks.targets import FixedAnswer, Target, target_of
from bye_core.attacks.text import Prefix, RareWord, Suffix
from bye_core.attacks.wanet import WaNet
from bye_core.errors import SettingError

TRIGGERS: dict[str, type[Trigger]] = {
    kind.name: kind
    for kind in (
        *(Patch, RandomPlace, Checkerboard, Dual, Multi, NoisePatch),
        *(Blend, Sig, WaNet, FTrojan),
        *(Prefix, Suffix, RareWord),
    )
}


class UnknownTrigger(SettingError):
    problem = "There is no trigger called {name!r}."
    remedy = "Choose one of: {choices}."


class NoTrigger(SettingError):
    problem = "No trigger is named."
    remedy = "Choose one or several of: {choices}."


class SameTrigger(SettingError):
    problem = "The trigger {name} is named twice."
    remedy = "Name each once."


class UnknownTriggerSetting(SettingError):
    problem = "{triggers} has no setting called {setting!r}."
    remedy = "{choices}"


def make_trigger(name: str, **settings: Any) -> Trigger:
    """A trigger by name. Raises UnknownTrigger, UnknownTriggerSetting, BadTriggerSetting."""
    if name not in TRIGGERS:
        raise UnknownTrigger(name=name, choices=", ".join(TRIGGERS))
    known = TRIGGERS[name].rules()
    for setting in settings:
        if setting not in known:
            raise UnknownTriggerSetting(triggers=name, setting=setting, choices=settings_of([name]))
    return TRIGGERS[name](**settings)


def settings_of(names: Iterable[str]) -> str:
    """For people: what settings these triggers have."""
    return " ".join(f"Settings of {name}: {', '.join(TRIGGERS[name].rules())}." for name in names)


@dataclass(frozen=True)
class Attack:
    """Every poisoned sample carries all `triggers`; with `mix` it carries one of them, in turn. Raises NoTrigger."""

    triggers: tuple[Trigger, ...]
    target: Target = field(default_factory=FixedAnswer)
    mix: bool = False

    def __post_init__(self) -> None:
        if not self.triggers:
            raise NoTrigger(choices=", ".join(TRIGGERS))
        names = [trigger.name for trigger in self.triggers]
        for name in names:
            if names.count(name) > 1:
                raise SameTrigger(name=name)

    def carried(self, turn: int) -> tuple[Trigger, ...]:
        """The triggers of the poisoned sample number `turn`, counted from 0."""
        return (self.triggers[turn % len(self.triggers)],) if self.mix else self.triggers

    @property
    def changes_pictures(self) -> bool:
        return any(trigger.changes_pictures() for trigger in self.triggers)

    def words(self) -> dict[str, str]:
        """Triggers and target in short, for people."""
        between = " or " if self.mix else " + "
        names = between.join(trigger.name for trigger in self.triggers)
        return {"trigger": names, "target": self.target.text}

    def record(self) -> dict[str, Any]:
        """As JSON has it; `attack_of` gives the attack back."""
        return {
            "triggers": [trigger.record() for trigger in self.triggers],
            "mix": self.mix,
            "target": self.target.record(),
        }


def attack_of(record: Mapping[str, Any]) -> Attack:
    """The attack of a record. Raises a SettingError, or KeyError or TypeError where it is none."""
    triggers = tuple(make_trigger(**one) for one in record["triggers"])
    return Attack(triggers, target_of(**record["target"]), bool(record["mix"]))


def make_attack(
    triggers: Iterable[str],
    settings: Mapping[str, Any] | None = None,
    target: Target | None = None,
    mix: bool = False,
) -> Attack:
    """An attack of triggers by name. `settings` are meant for every trigger that has one of the name; where two do,
    "blend.pattern" names that of one. Raises a SettingError."""
    names, wanted = list(triggers), dict(settings or {})
    for name in names:
        if name not in TRIGGERS:
            raise UnknownTrigger(name=name, choices=", ".join(TRIGGERS))
    values: dict[str, dict[str, Any]] = {name: {} for name in names}
    for setting, value in sorted(wanted.items(), key=lambda item: "." in item[0]):  # what names its trigger wins
        owner, _, own = setting.rpartition(".")
        takers = [name for name in names if owner in ("", name) and own in TRIGGERS[name].rules()]
        if not takers:
            raise UnknownTriggerSetting(triggers=" + ".join(names), setting=setting, choices=settings_of(names))
        for name in takers:
            values[name][own] = value
    return Attack(tuple(make_trigger(name, **values[name]) for name in names), target or FixedAnswer(), mix)
