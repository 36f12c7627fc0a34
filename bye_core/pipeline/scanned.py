"""The model that a run was scanned with, loaded again."""

from __future__ import annotations

from typing import Any

from bye_core import runs
from bye_core.errors import RunError


class AnotherModel(RunError):
    problem = "The run was scanned with another {part}: its statistics say nothing about {given}."
    remedy = "Name the {part} that was scanned (the run has {path}), or scan with this one and detect first."


def load_scanned(run: runs.Run, model: str | None = None, adapter: str | None = None, device: str = "auto") -> Any:
    """`model`, `adapter`: where they are now, if they have moved since the scan. Raises AnotherModel."""
    from bye_core.models import load_model

    settings = run.settings
    adapter = adapter or (settings.adapter if settings.adapter_digest else None)
    loaded = load_model(model or settings.model, adapter, device=device, dtype=settings.dtype)
    for part, given in (("model", model), ("adapter", adapter)):
        if loaded.identity[f"{part}_digest"] != getattr(settings, f"{part}_digest"):
            raise AnotherModel(part=part, given=given or settings.model, path=getattr(settings, part))
    return loaded
