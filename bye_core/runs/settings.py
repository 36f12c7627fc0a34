"""The settings of a run. They suffice to repeat the scan, and to refuse other settings in the same folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bye_core import __version__
from bye_core.errors import quoted
from bye_core.model_protocol import PixelLimits

# Settings that change the results of a scan. Batch size, precision and device change only the last digits.
# Folder names are not compared: a model in another folder has the same digest.
RESULT_SETTINGS = (
    "model_digest",
    "adapter_digest",
    "before_digest",
    "data_digest",
    "format",
    "batch_size",
    "dtype",
    "device",
    "answers",
    "min_pixels",
    "max_pixels",
)

PACKAGES = ("torch", "transformers", "peft", "numpy", "safetensors")


def relative_paths(**paths: str | None) -> dict[str, Any]:
    """Return the facts for `RunSettings.more` about those paths that are relative; {} if none is."""
    names = [name for name, path in paths.items() if path and not os.path.isabs(path) and os.path.exists(path)]
    return {"folder": os.getcwd(), "relative": names} if names else {}


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

    model, adapter, before, data  the paths that the caller gave, unchanged. `before` is the model before full
             fine-tuning; with an adapter, it is `model`
    answers  whether the scan also reads the likelihoods of the samples' answers
    created  UTC, ISO 8601; filled in by Run.create
    tuning   facts from the adapter's finetune.json; None if there is none, or if an earlier version scanned
    min_pixels, max_pixels  least and most pixels of a resized image; 0 for the setting of the model's processor
    tuned_on_this_data  whether the user said that the model was fine-tuned on this data set
    more     how the data set was read, as far as the caller said it; and, if paths were relative, the `folder` that
             they were relative to and their names (`relative`)
    """

    model: str
    model_digest: str
    data: str
    data_digest: str
    adapter: str | None = None
    adapter_digest: str | None = None
    before: str | None = None
    before_digest: str | None = None
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
    min_pixels: int = 0
    max_pixels: int = 0

    @property
    def pixels(self) -> PixelLimits:
        return PixelLimits(self.min_pixels, self.max_pixels)

    @property
    def knows_before(self) -> bool:
        """Whether the model before fine-tuning is known."""
        return self.adapter_digest is not None or self.before_digest is not None

    def completed(self) -> RunSettings:
        """Return the settings with the paths of the scan's folder, for a process that works in another folder."""
        folder = self.more.get("folder")
        if not folder or (os.path.isdir(folder) and os.path.samefile(folder, ".")):
            return self
        paths = {name: os.path.join(folder, getattr(self, name)) for name in self.more.get("relative", ())}
        return replace(self, **{name: path for name, path in paths.items() if os.path.exists(path)})

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
