"""Triggers, one a file, and the poisoner that plants them."""

from bye_core.attacks.base import Trigger
from bye_core.attacks.checkerboard import Checkerboard
from bye_core.attacks.dual import Dual
from bye_core.attacks.multi import Multi
from bye_core.attacks.patch import Patch
from bye_core.attacks.random_place import RandomPlace
from bye_core.errors import SettingError

TRIGGERS: dict[str, type[Trigger]] = {
    "patch": Patch,
    "random": RandomPlace,
    "checkerboard": Checkerboard,
    "dual": Dual,
    "multi": Multi,
}


class UnknownTrigger(SettingError):
    problem = "There is no trigger called {name!r}."
    remedy = "Choose one of: {choices}."


class BadTriggerSize(SettingError):
    problem = "A trigger of {size} of the picture's shorter side does not fit."
    remedy = "Give a fraction above 0 and at most 1; the paper uses 1/16 = 0.0625."


def make_trigger(name: str, size: float = 1 / 16) -> Trigger:
    """A trigger by name; `size`: side of a square as a fraction of the picture's shorter side.

    Raises UnknownTrigger, BadTriggerSize.
    """
    if name not in TRIGGERS:
        raise UnknownTrigger(name=name, choices=", ".join(TRIGGERS))
    if not 0 < size <= 1:
        raise BadTriggerSize(size=size)
    return TRIGGERS[name](size=size)


__all__ = ["TRIGGERS", "BadTriggerSize", "Trigger", "UnknownTrigger", "make_trigger"]
