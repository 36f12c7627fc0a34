"""The settings of a run. They suffice to repeat the scan, and to refuse other settings in the same folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bye_core import __version__
from bye_core.errors import quoted

# Settings that change the results of a scan. Batch size, precision and device change only the last digits.
# Folder names are not compared: a model in another folder has the same digest.
RESULT_SETTINGS = (
    "model_digest",
    "adapter_digest",
    "data_digest",
    "format",
    "batch_size",
    "dtype",
    "device",
    "answers",
)

PACKAGES = ("torch", "transformers", "peft", "numpy", "safetensors")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages in use. Reads package metadata; imports no package."""
    found = {"python": platform.python_version(), "bye_core": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@dataclass(frozen=True)
class RunSettings:
    """How a run was scanned.

    model, adapter, data  the paths that the caller gave, unchanged
    answers  whether the scan also reads the likelihoods of the samples' answers
    created  UTC, ISO 8601; filled in by Run.create
    tuning   facts from the adapter's finetune.json; None if there is none, or if an earlier version scanned
    tuned_on_this_data  whether the user said that the model was fine-tuned on this data set
    more     the names of the data set's columns, if the caller gave them
    """

    model: str
    model_digest: str
    data: str
    data_digest: str
    adapter: str | None = None
    adapter_digest: str | None = None
    format: str | None = None
    batch_size: int = 1
    dtype: str = "float32"
    device: str = "cpu"
    answers: bool = False
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=versions)
    created: str = ""
    tuning: Mapping[str, Any] | None = None
    tuned_on_this_data: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def differences(self, now: RunSettings) -> list[str]:
        """Return, in words, why a scan with the settings `now` cannot resume this run; [] if it can."""
        pairs = [(name, getattr(self, name), getattr(now, name)) for name in RESULT_SETTINGS]
        return [
            f"{name.replace('_', ' ')} {quoted(then)}, now {quoted(value)}"
            for name, then, value in pairs
            if then != value
        ]

    def record(self) -> dict[str, Any]:
        return asdict(self)
