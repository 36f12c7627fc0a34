"""What a run was made with: enough to make it again, and to refuse to mix two scans in one folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bye_core import __version__

# Rows read under another of these are other rows: batch size, precision and device change the last digits too.
# Names of folders may change (a moved model is the same model); digests may not.
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
    """Of everything that takes part, by the packages' metadata: nothing is imported for it."""
    found = {"python": platform.python_version(), "bye_core": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@dataclass(frozen=True)
class RunSettings:
    """`model`, `adapter` and `data` are paths as given; `created` is UTC, ISO 8601, filled in by Run.create.

    `answers`: whether the likelihood of the samples' answers is read too.
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
    more: Mapping[str, Any] = field(default_factory=dict)

    def differences(self, now: RunSettings) -> list[str]:
        """What keeps a scan with the settings `now` from going on with this run, in words."""
        pairs = [(name, getattr(self, name), getattr(now, name)) for name in RESULT_SETTINGS]
        return [f"{name.replace('_', ' ')} {then!r}, now {value!r}" for name, then, value in pairs if then != value]

    def record(self) -> dict[str, Any]:
        return asdict(self)
