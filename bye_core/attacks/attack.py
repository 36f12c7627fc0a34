"""A complete attack: its triggers, how they are distributed over the samples, and its target. Can be stored as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bye_core.attacks.targets import FixedAnswer, Target, make_target
from bye_core.attacks.triggers import (
    TRIGGERS,
    Trigger,
    UnknownTriggerSetting,
    make_trigger,
    settings_text,
    trigger_class,
)
from bye_core.errors import SettingError
from bye_core.records import Sample


class NoTrigger(SettingError):
    problem = "The attack has no trigger."
    remedy = "Choose one or several of: {choices}."


class SameTrigger(SettingError):
    problem = "The trigger {name} occurs twice."
    remedy = "Give each trigger only once."


class TriggersDoNotFit(SettingError):
    problem = "The target {kind} needs {needed} triggers, one for each of its targets, but the attack has {count}."
    remedy = "Give {needed} triggers, such as `--trigger patch blend`."


@dataclass(frozen=True)
class Attack:
    """An attack. Every poisoned sample gets all `triggers`; with `mix`, each sample gets only one trigger, in turn.

    If the target has several parts, trigger number k belongs to part number k, so `mix` is always set.
    Raises: NoTrigger if `triggers` is empty; SameTrigger if a trigger occurs twice; TriggersDoNotFit if the target has
    several parts and the attack another number of triggers.
    """

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
        if (parts := len(self.target.parts)) > 1:
            if len(names) != parts:
                raise TriggersDoNotFit(kind=self.target.kind, needed=parts, count=len(names))
            object.__setattr__(self, "mix", True)

    def triggers_of(self, turn: int) -> tuple[Trigger, ...]:
        """Return the triggers of the poisoned sample number `turn`, counted from 0."""
        return (self.triggers[turn % len(self.triggers)],) if self.mix else self.triggers

    def target_of(self, turn: int) -> Target:
        """Return the target of the poisoned sample number `turn`, counted from 0."""
        return self.target.parts[turn % len(self.target.parts)]

    def fits(self, sample: Sample, turn: int) -> bool:
        """Return whether the sample, with its correct answer, can get the triggers of turn `turn`."""
        return all(trigger.eligible(sample) for trigger in self.triggers_of(turn))

    def eligible(self, sample: Sample, part: int) -> bool:
        """Return whether the sample, with its correct answer, can be poisoned with the target's part number `part`.

        If several triggers take turns over one target, each must fit: a sample's turn is not known before it is drawn.
        """
        turns = range(len(self.triggers)) if len(self.target.parts) == 1 else (part,)
        return self.target_of(part).eligible(sample) and all(self.fits(sample, turn) for turn in turns)

    def fit(self, samples: Sequence[Sample]) -> Attack:
        """Return the attack for a data set: answers that are still open are taken from its `samples`.

        Raises: SettingError if the set does not have what the target needs.
        """
        return replace(self, target=self.target.fit(samples))

    @property
    def changes_images(self) -> bool:
        return any(trigger.changes_images() for trigger in self.triggers)

    def summary(self) -> dict[str, str]:
        """Return the names of the triggers and the text of the target, for display."""
        between = " or " if self.mix else " + "
        names = between.join(trigger.name for trigger in self.triggers)
        return {"trigger": names, "target": self.target.summary()}

    def record(self) -> dict[str, Any]:
        """Return the attack as JSON values, from which `attack_from_record` creates an equal attack."""
        return {
            "triggers": [trigger.record() for trigger in self.triggers],
            "mix": self.mix,
            "target": self.target.record(),
        }


def attack_from_record(record: Mapping[str, Any]) -> Attack:
    """Create the attack that a record describes.

    Raises: SettingError if a trigger, setting or target is not valid; KeyError or TypeError if the record has another
    shape.
    """
    triggers = tuple(make_trigger(**trigger) for trigger in record["triggers"])
    return Attack(triggers, make_target(**record["target"]), bool(record["mix"]))


def make_attack(
    triggers: Iterable[str],
    settings: Mapping[str, Any] | None = None,
    target: Target | None = None,
    mix: bool = False,
) -> Attack:
    """Create an attack from the names of its triggers.

    A setting applies to every trigger that has a setting of this name. "blend.pattern" applies only to the trigger
    blend and overrides "pattern".
    Raises: SettingError if a trigger or setting is unknown or a value is not allowed.
    """
    names = list(triggers)
    known = {name: trigger_class(name).settings() for name in names}
    values: dict[str, dict[str, Any]] = {name: {} for name in names}
    for setting, value in sorted((settings or {}).items(), key=lambda item: "." in item[0]):
        owner, _, own_name = setting.rpartition(".")
        owners = [name for name in names if owner in ("", name) and own_name in known[name]]
        if not owners:
            raise UnknownTriggerSetting(triggers=" + ".join(names), setting=setting, choices=settings_text(names))
        for name in owners:
            values[name][own_name] = value
    return Attack(tuple(make_trigger(name, **values[name]) for name in names), target or FixedAnswer(), mix)
