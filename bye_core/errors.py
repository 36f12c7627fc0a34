"""Errors with a remedy: every failure that a user can meet is a ByeError. Also turns values into words for messages."""

from __future__ import annotations

import itertools
import os
import re
import string
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

LONGEST_FACT = 2000  # characters of one fact in a message
DEEPEST = 20  # levels of a nested value that a message shows
SHORT_BASE64 = 40  # characters that may also be a word
KEPT_BASE64 = 12  # characters of base64 that a message shows

# Objects as Python shows them: "<_io.BytesIO object at 0x7f50>", "<class 'dict'>", "PosixPath('/data')". An address
# differs in every process, and equal failures must have equal texts.
_OBJECT = re.compile(
    r"<(?:bound method |function |class ')?(?P<name>(?:[\w.]|<\w+>)+)[^<>\n]*? at 0x[0-9a-f]+>", re.IGNORECASE
)
_CLASS = re.compile(r"<class '(?:[\w.<>]*\.)?(?P<name>\w+)'>")
_PATH = re.compile(r"\b(?:Posix|Windows|PurePosix|PureWindows)Path\((['\"])(?P<path>.*?)\1\)")
_ADDRESS = re.compile(r"(?: at)? 0x[0-9a-f]{6,}\b", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{100,}={0,2}|[A-Za-z0-9+/]{41,}={0,2}|(?<=;base64,)[A-Za-z0-9+/_-]{13,}={0,2}")


def printable(value: object, longest: int = LONGEST_FACT) -> str:
    """Return a value as words for a message: one line of printable characters, without the syntax of Python.

    Equal values give equal texts. Control characters and invalid Unicode are escaped, because they would break a
    terminal; long texts and base64 are cut.
    """
    text = _words(value)
    # A long text is cut before and after, so that hostile texts of many megabytes cost little.
    text = _BASE64.sub(_cut_base64, _without_objects(text[: 20 * longest + KEPT_BASE64]))
    cut = text if len(text) <= longest else text[:longest] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def quoted(value: object, longest: int = LONGEST_FACT) -> str:
    """Return a value as words; a text gets quotation marks, so that blanks at its ends are visible."""
    text = printable(value, longest)
    return f"'{text}'" if isinstance(value, str) else text


def _words(value: object, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, BaseException):
        return _error_words(value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value):,} bytes"
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, Mapping | AbstractSet | list | tuple):
        return ", ".join(_entries(value, depth + 1)) if depth < DEEPEST else "…"
    if hasattr(value, "tolist") and getattr(value, "shape", ()) != ():  # an array
        return _words(value.tolist())
    kind = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return f"an object of type {kind.__name__}"
    return str(value)


def _entries(value: Any, depth: int) -> Iterable[str]:
    """Return the entries of a collection as words; those of a set in alphabetical order."""
    first = itertools.islice(value, LONGEST_FACT)
    if isinstance(value, Mapping):
        return [f"{_words(key, depth)}: {_words(value[key], depth)}" for key in first]
    words = (_words(entry, depth) for entry in (value if isinstance(value, AbstractSet) else first))
    return sorted(words) if isinstance(value, AbstractSet) else words


def _error_words(error: BaseException) -> str:
    """Return an exception's message on one line."""
    if isinstance(error, ByeError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"there is no key {_words(error.args[0])}"
    return " ".join(str(error).split()) or type(error).__name__


def _without_objects(text: str) -> str:
    """Replace objects as Python shows them by their names."""
    if "0x" in text or "0X" in text:
        text = _OBJECT.sub(lambda match: match["name"].rpartition(".")[2].strip("<>"), text)
        text = _ADDRESS.sub("", text)
    return _PATH.sub(lambda match: match["path"], _CLASS.sub(lambda match: match["name"], text))


def _cut_base64(match: re.Match[str]) -> str:
    """Keep the start of base64. Long paths consist of the same characters, but of short parts between slashes."""
    text = match.group()
    kinds = (str.isupper, str.islower, str.isdigit)
    long_parts = len(text) > 20 * (text.count("/") + 1)
    if len(text) > SHORT_BASE64 and not (long_parts and all(any(test(c) for c in text) for test in kinds)):
        return text
    return text[:KEPT_BASE64] + "…"


class _Template(string.Formatter):
    """Fills a template with facts as words. Numbers may have a format, as in {count:,}; {name!r} sets quotation marks.

    Values are never read with attributes or indices, and the texts of facts are not templates themselves.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        return quoted(value, self._longest) if conversion == "r" else value

    def format_field(self, value: Any, format_spec: str) -> Any:
        if format_spec and isinstance(value, int | float):
            return format(value, format_spec)
        return printable(value, self._longest)


class ByeError(Exception):
    """A failure with its remedy. Subclasses set the templates `problem` and `remedy`, which `facts` fill in."""

    problem = "Something went wrong."
    remedy = "Report this with the command you ran."
    longest = LONGEST_FACT  # characters of one fact in the message

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        template = _Template(self.longest)
        self.problem = template.vformat(type(self).problem, (), facts)
        self.remedy = template.vformat(type(self).remedy, (), facts)
        super().__init__(f"{self.problem} {self.remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the error travel between processes, with facts that any process can read."""
        plain = str | int | float | None
        facts = {name: fact if isinstance(fact, plain) else printable(fact) for name, fact in self.facts.items()}
        return _restored, (type(self), self.args, {**vars(self), "facts": facts})

    @property
    def kind(self) -> str:
        """The stable name of the failure in machine-readable output."""
        return type(self).__name__


def _restored(kind: type[ByeError], args: tuple[Any, ...], state: Mapping[str, Any]) -> ByeError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class DataError(ByeError):
    """A data set, or one sample of it, cannot be used."""


class ModelError(ByeError):
    """A model or an adapter cannot be loaded or read."""


class RunError(ByeError):
    """A run folder is missing, busy or does not fit the request."""


class SettingError(ByeError):
    """An option has an invalid value."""


class SampleFailed(ModelError):
    """The model failed on one sample; the other samples are not affected."""

    problem = "Sample {id} could not be read: {reason}"
    remedy = "Check the image and the text of this sample; leave the sample out if it cannot be repaired."
