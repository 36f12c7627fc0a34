"""Attacks: triggers (one file each), the attacker's target answers, and the poisoning of data sets."""

from bye_core.attacks.attack import Attack, NoTrigger, SameTrigger, attack_from_record, make_attack
from bye_core.attacks.targets import TARGETS, FixedAnswer, Target, make_target
from bye_core.attacks.triggers import (
    TRIGGERS,
    BadTriggerSetting,
    Trigger,
    UnknownTrigger,
    UnknownTriggerSetting,
    make_trigger,
)

__all__ = [
    "TARGETS",
    "TRIGGERS",
    "Attack",
    "BadTriggerSetting",
    "FixedAnswer",
    "NoTrigger",
    "SameTrigger",
    "Target",
    "Trigger",
    "UnknownTrigger",
    "UnknownTriggerSetting",
    "attack_from_record",
    "make_attack",
    "make_target",
    "make_trigger",
]
