"""The settings of a trigger: dataclass fields that say what they mean and what they may be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# A picture's mark in the formats written here, and what no file or tokenizer takes.
_UNFIT = re.compile(r"<image>|[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Rule:
    """What a setting means (`help`), its type, what it may be in words and as a test."""

    help: str
    kind: type
    words: str
    admits: Callable[[Any], bool]

    def read(self, value: Any) -> Any:
        """A value as typed, or from JSON -> one of the setting's type. Raises ValueError for what it may not be."""
        if isinstance(value, float) and self.kind is int and value.is_integer():
            value = int(value)  # forms and JSON know one kind of number only
        if isinstance(value, bool) or (self.kind is int and isinstance(value, float)):
            raise ValueError(value)
        found = self.kind(value)
        if not self.admits(found):
            raise ValueError(value)
        return found


def number(default: float, help: str, *, most: float, above: float | None = None, least: float = 0) -> Any:
    """A field that holds a number: above `above`, or from `least` on, up to `most`; whole where the default is."""
    kind = type(default)
    bounds = f"from {least:g} to {most:g}" if above is None else f"above {above:g} and at most {most:g}"
    words = f"a {'whole ' if kind is int else ''}number {bounds}"

    def admits(value: float) -> bool:
        return (value >= least if above is None else value > above) and value <= most

    return field(default=default, metadata={"rule": Rule(help, kind, words, admits)})


def fit(text: str) -> bool:
    """Whether a text can stand in a question or an answer: something to see, no picture's mark, valid Unicode."""
    return bool(text.strip()) and not _UNFIT.search(text)


def phrase(default: str, help: str) -> Any:
    """A field that holds words for a question."""
    return field(default=default, metadata={"rule": Rule(help, str, "some words, without <image>", fit)})


def choice(default: str, help: str, words: str, admits: Callable[[str], bool]) -> Any:
    """A field that holds one of several words."""
    return field(default=default, metadata={"rule": Rule(help, str, words, admits)})
