"""The choices of a user about how to read a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class ReadingOptions:
    """How to read a data set. Every option that is not given is detected, or has the usual value.

    format      one of FORMATS
    columns     maps the format's columns to the keys in the records, as in {"question": "my_question"}
    split       the split to read, or the entry of a dataset_info.json
    question    the question for records that have a caption and no question
    strict_ids  whether records that share an id are faults; otherwise they get unique names
    """

    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    question: str | None = None
    strict_ids: bool = False

    def record(self) -> dict[str, Any]:
        """Return the options that were given, by name, as JSON values."""
        return {name: value for name, value in vars(self).items() if value} | (
            {"columns": dict(self.columns)} if self.columns else {}
        )

    @classmethod
    def from_record(cls, record: Mapping[str, Any], format: str | None = None) -> ReadingOptions:
        """Return the options in the result of `record`; skips other keys. `format` replaces the recorded format."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if record.get(name)}
        return cls(**known | ({"format": format} if format else {}))

    def exported(self) -> ReadingOptions:
        """Return the options that read an export of the set in the same format: it has one split."""
        return replace(self, split=None)

    def arguments(self) -> list[str]:
        """Return the command-line arguments for these options; [] if none is given."""
        found = [word for name in ("format", "split", "question") for word in _option(name, getattr(self, name))]
        if self.columns:
            found += ["--columns", *(f"{name}={yours}" for name, yours in self.columns.items())]
        return found + (["--strict-ids"] if self.strict_ids else [])


def _option(name: str, value: str | None) -> list[str]:
    """Return an option with its value; in one word if the value would look like an option."""
    if not value:
        return []
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]


AUTOMATIC = ReadingOptions()
