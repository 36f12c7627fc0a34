"""The settings of a trigger: dataclass fields with a help text and the allowed values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from PIL import ImageColor

# The image marker of data set formats, NUL (tokenizers stop there), and lone surrogates (invalid Unicode).
_FORBIDDEN = re.compile(r"<image>|[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Setting:
    """One setting of a trigger.

    help      what the setting means
    kind      type of its value
    allowed   its allowed values, in words
    is_valid  function that returns whether a value of this type is allowed
    choices   the allowed values if they are a few names; otherwise ()
    """

    help: str
    kind: type
    allowed: str
    is_valid: Callable[[Any], bool]
    choices: tuple[str, ...] = ()

    def parse(self, value: Any) -> Any:
        """Convert a value from the command line, a form or JSON to the setting's type.

        Raises: ValueError, TypeError or OverflowError if the value is not allowed.
        """
        if isinstance(value, float) and self.kind is int and value.is_integer():
            value = int(value)  # forms and JSON may write whole numbers as floats
        if isinstance(value, bool) or (self.kind is int and isinstance(value, float)):
            raise ValueError(value)
        parsed = self.kind(value)
        if not self.is_valid(parsed):
            raise ValueError(value)
        return parsed


def number(default: float, help: str, *, most: float, above: float | None = None, least: float = 0) -> Any:
    """Declare a numeric field. It is an integer if `default` is an integer.

    The value is at most `most`, and greater than `above` if that is given, otherwise at least `least`.
    """
    kind = type(default)
    bounds = f"from {least:g} to {most:g}" if above is None else f"above {above:g} and at most {most:g}"
    allowed = f"a {'whole ' if kind is int else ''}number {bounds}"

    def is_valid(value: float) -> bool:
        return (value >= least if above is None else value > above) and value <= most

    return field(default=default, metadata={"setting": Setting(help, kind, allowed, is_valid)})


def is_usable_text(text: str) -> bool:
    """Return whether a text can be part of a question or an answer: not blank, no image marker, valid Unicode."""
    return bool(text.strip()) and not _FORBIDDEN.search(text)


def phrase(default: str, help: str) -> Any:
    """Declare a field that holds words to insert into a question."""
    return field(default=default, metadata={"setting": Setting(help, str, "words without <image>", is_usable_text)})


def choice(default: str, help: str, allowed: str, is_valid: Callable[[str], bool]) -> Any:
    """Declare a text field for which only some values are valid."""
    return field(default=default, metadata={"setting": Setting(help, str, allowed, is_valid)})


def one_of(names: Iterable[str]) -> Any:
    """Declare a text field that holds one of these names; the first is the default."""
    choices = tuple(names)
    text = f"one of {', '.join(choices)}"
    return field(default=choices[0], metadata={"setting": Setting(text, str, text, choices.__contains__, choices)})


def color(default: str, help: str) -> Any:
    """Declare a field that holds an opaque color, as `ImageColor.getrgb` reads it."""
    return choice(default, help, "a color, such as purple or #8040c0", _is_color)


def _is_color(text: str) -> bool:
    try:
        return len(ImageColor.getrgb(text)) == 3
    except ValueError:
        return False
