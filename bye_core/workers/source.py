"""Describes which model to load, and what is known of it once it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bye_core
from bye_core.model_protocol import UNLIMITED, PixelLimits, VisionLanguageModel


@dataclass(frozen=True)
class ModelSource:
    """The arguments of `load_model`; any process can load the same model with them.

    before  the model before full fine-tuning, which is loaded, too; only without an adapter
    """

    model: str
    adapter: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    pixels: PixelLimits = UNLIMITED
    before: str | None = None

    def load(self) -> VisionLanguageModel:
        """Load the model. Raises: a ModelError or a SettingError, as `load_model`."""
        from bye_core.models.loading import load_model
        from bye_core.models.pair import load_model_pair

        options: dict[str, Any] = {"device": self.device, "dtype": self.dtype, "pixels": self.pixels}
        if self.before is not None:
            return load_model_pair(self.model, self.before, **options)
        return load_model(self.model, self.adapter, **options)

    def for_workers(self) -> ModelSource:
        """Return the source with absolute paths, and without the number of the GPU: a worker sees only its own."""
        device = "cuda" if self.device.startswith("cuda") else self.device
        adapter, before = (None if path is None else _absolute(path) for path in (self.adapter, self.before))
        return replace(self, model=_absolute(self.model), adapter=adapter, before=before, device=device)


def _absolute(path: str) -> str:
    """Return the absolute path of a folder of this machine; other texts, such as ids of the hub, unchanged."""
    folder = Path(path).expanduser()
    return str(folder.resolve()) if folder.is_dir() else path


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a loaded model: its identity, its kind of device, its data type, and its processor."""

    identity: Mapping[str, Any]
    device: str
    dtype: str
    processor: Any
    version: str = bye_core.__version__

    @classmethod
    def of(cls, loaded: VisionLanguageModel) -> ModelFacts:
        dtype = str(loaded.dtype).removeprefix("torch.")
        return cls(loaded.identity, loaded.device.type, dtype, loaded.processor)

    def comparable(self) -> dict[str, Any]:
        """Return what must be the same in all workers, so that they give the same results."""
        names = ("model_digest", "adapter_digest", "before_digest")
        versions = {**self.identity["versions"], "bye-core": self.version}
        return {
            "device": self.device,
            "dtype": self.dtype,
            **{name: self.identity.get(name) for name in names},
            **versions,
        }
