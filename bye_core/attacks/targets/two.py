"""Two attackers in one data set: two triggers, each with its own target and its own samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bye_core.attacks.targets.base import Target, setting

FORM = "a target as KIND or KIND=VALUE"


@dataclass(frozen=True)
class Two(Target):
    """Two targets. The first trigger of the attack plants the first target, the second trigger the second target.

    `first` and `second` are targets, their records, or texts as in `target_of_text`.
    """

    kind = "two"
    option = "--two"
    arguments = ("first", "second")
    label = "two targets, one for each of two triggers"
    help = "two triggers, each with its own target: FIRST and SECOND are KIND or KIND=VALUE, as in `refusal flip`"

    first: Any = setting(  # noqa: RUF009 - a dataclass field
        "Target of the first trigger", FORM, default="answer", missing="Enter the first target."
    )
    second: Any = setting(  # noqa: RUF009 - a dataclass field
        "Target of the second trigger", FORM, default="refusal", missing="Enter the second target."
    )

    def __post_init__(self) -> None:
        from bye_core.attacks.targets import NestedTargets, any_target

        for name in self.arguments:
            target = any_target(getattr(self, name))
            if isinstance(target, Two):
                raise NestedTargets()
            object.__setattr__(self, name, target)

    @property
    def parts(self):
        return (self.first, self.second)

    def fit(self, samples):
        return replace(self, first=self.first.fit(samples), second=self.second.fit(samples))

    def eligible(self, sample):
        return any(part.eligible(sample) for part in self.parts)

    def eligibility_remedy(self):
        return " ".join(filter(None, (part.eligibility_remedy() for part in self.parts)))

    def poisoned_answer(self, sample, rng):
        raise TypeError("ask one of the parts")

    def reached(self, sample, given):
        raise TypeError("ask one of the parts")

    def answers(self):
        return tuple(text for part in self.parts for text in part.answers())

    def summary(self):
        return " or ".join(part.summary() for part in self.parts)


TARGETS = (Two,)
