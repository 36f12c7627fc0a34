"""Triggers, one a file; targets; and the poisoner that plants them."""

from bye_core.attacks.attack import (
    TRIGGERS,
    Attack,
    NoTrigger,
    SameTrigger,
    UnknownTrigger,
    UnknownTriggerSetting,
    attack_of,
    make_attack,
    make_trigger,
)
from bye_core.attacks.base import BadTriggerSetting, Trigger
from bye_core.attacks.targets import TARGETS, FixedAnswer, Target, target_of

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
    "attack_of",
    "make_attack",
    "make_trigger",
    "target_of",
]
