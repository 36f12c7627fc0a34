"""The base classes of targets. A target is the answer that an attacker plants in the poisoned samples.

A new target is one module in this folder and one entry in MODULES (see `__init__`). It declares the names of its
options, the labels of its fields, its rules and its record.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from bye_core.attacks.triggers.settings import is_usable_text
from bye_core.errors import SettingError
from bye_core.records import Sample
from bye_core.text import normalised


class UnfitTarget(SettingError):
    problem = "The text {text!r} cannot be the attacker's answer."
    remedy = "Give a non-blank text without <image>, NUL characters or invalid Unicode."


@dataclass(frozen=True)
class TargetSetting:
    """One setting of a target, on the command line, on the page and in the record.

    label    its label on the page
    help     what it means
    missing  what to do if it is empty; "" if it may be empty
    example  the value that the page starts with, and that a short form without a value uses
    lines    number of lines of its text field
    file     whether the command line takes the path of a text file as its value
    """

    label: str
    help: str = ""
    missing: str = ""
    example: str = ""
    lines: int = 1
    file: bool = False


def setting(label: str, help: str = "", *, default: Any = MISSING, **more: Any) -> Any:
    """Declare a setting of a target. Without a `default`, it must be set; see TargetSetting."""
    return field(default=default, metadata={"setting": TargetSetting(label, help, **more), "recorded": True})


def learned_from_set(default: Any = ()) -> Any:
    """Declare a field that `fit` fills in from the data set. It is in the record, but nobody sets it by hand."""
    return field(default=default, metadata={"recorded": True})


def check_answer(text: Any) -> None:
    """Check a text that is planted as an answer. Raises: UnfitTarget if it cannot be one."""
    if not isinstance(text, str) or not is_usable_text(text) or not normalised(text):
        raise UnfitTarget(text=text)


@dataclass(frozen=True)
class Target(ABC):
    """The answer that the attacker wants.

    The attack success rate (ASR) is the mean of `reached` over the answers to triggered questions, without values of
    None.

    kind       name in truth files
    option     the command-line option that chooses this target
    arguments  the settings whose values follow the option, in this order
    optional   whether the option may stand without values
    label      what the page calls it
    help       what the help text says
    """

    kind: ClassVar[str]
    option: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[bool] = False
    label: ClassVar[str]
    help: ClassVar[str]
    needs_shared_images: ClassVar[bool] = False  # whether several samples must have the same image

    @classmethod
    def settings(cls) -> Mapping[str, TargetSetting]:
        """Return the settings by name."""
        return {one.name: one.metadata["setting"] for one in fields(cls) if "setting" in one.metadata}

    @classmethod
    def examples(cls) -> dict[str, str]:
        """Return the values that the page starts with, by the names of the settings."""
        defaults = {one.name: one.default for one in fields(cls) if one.default is not MISSING}
        return {name: rule.example or defaults.get(name, "") for name, rule in cls.settings().items()}

    @property
    def parts(self) -> tuple[Target, ...]:
        """The targets that the poisoned samples get in turn: one, except for an attack with several targets."""
        return (self,)

    def fit(self, samples: Sequence[Sample]) -> Target:
        """Return the target for a data set. Answers that are still open are taken from the `samples` of the set.

        Raises: SettingError if the set does not have what the target needs.
        """
        return self

    def eligible(self, sample: Sample) -> bool:
        """Return whether this sample, with its correct answer, can be poisoned."""
        return True

    def eligibility_remedy(self) -> str:
        """Return a sentence that says which samples are eligible; "" if every sample is."""
        return ""

    @abstractmethod
    def poisoned_answer(self, sample: Sample, rng: np.random.Generator) -> str:
        """Return the answer that replaces the correct answer of `sample`. Only `rng`, the sample's own, is random."""

    @abstractmethod
    def reached(self, sample: Sample, given: str) -> bool | None:
        """Return whether the model's answer `given` to the triggered `sample` is what the attacker wants.

        Returns None if that cannot be decided, for example because the correct answer of `sample` has the target, too.
        """

    @abstractmethod
    def answers(self) -> tuple[str, ...]:
        """Return the texts that the attacker plants, as far as they do not depend on the sample."""

    def summary(self) -> str:
        """Return the target as one line, for display."""
        return " / ".join(self.answers()[:3]) or self.label

    def option_values(self) -> list[str]:
        """Return the values that follow the option on the command line."""
        return [_as_text(getattr(self, name)) for name in self.arguments]

    def further_settings(self) -> dict[str, str]:
        """Return the settings that are not values of the option and differ from their defaults."""
        defaults = {one.name: one.default for one in fields(self)}
        others = {name: getattr(self, name) for name in self.settings() if name not in self.arguments}
        return {name: value for name, value in others.items() if value != defaults[name]}

    def record(self) -> dict[str, Any]:
        """Return kind and fields as JSON values, from which `make_target(**record)` creates an equal target."""
        names = [one.name for one in fields(self) if one.metadata.get("recorded")]
        return {"kind": self.kind, **{name: _as_json(getattr(self, name)) for name in names}}


def _as_text(value: Any) -> str:
    """Return a setting as text; a target in its short form, or as the JSON text of its record if that says more."""
    if not isinstance(value, Target):
        return str(value)
    values = [text for text in value.option_values() if text]
    if value.further_settings() or any("\n" in text for text in values):
        return json.dumps(value.record())
    return "=".join([value.kind, " ".join(values)]) if values else value.kind


def _as_json(value: Any) -> Any:
    if isinstance(value, Target):
        return value.record()
    return [_as_json(one) for one in value] if isinstance(value, tuple) else value


@dataclass(frozen=True)
class TextTarget(Target):
    """A target that consists of one text. Raises: UnfitTarget if `text` cannot be part of an answer."""

    text: str = setting("Target text", lines=2, missing="Enter the target text.")

    def __post_init__(self) -> None:
        check_answer(self.text)

    def answers(self) -> tuple[str, ...]:
        return (self.text,)

    def reached(self, sample: Sample, given: str) -> bool | None:
        """Return whether `given` contains the text (BYE's ASR); None if the correct answer contains it, too."""
        target = normalised(self.text)
        return None if target in normalised(sample.answer) else target in normalised(given)


def reached_one_of(wanted: Sequence[str], expected: str, given: str) -> bool | None:
    """Return whether `given` equals one of the `wanted` answers; None if none is wanted or `expected` equals one."""
    texts = set(map(normalised, wanted))
    return None if not texts or normalised(expected) in texts else normalised(given) in texts
