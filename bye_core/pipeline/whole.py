"""BYE's Algorithm 1: the stages in a row, from a suspect data set to a clean adapter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bye_core.pipeline.deciding import decide, detect_run
from bye_core.pipeline.exporting import export_run
from bye_core.pipeline.scanning import ScanSettings, scan
from bye_core.pipeline.training import finetune
from bye_core.records import Progress
from bye_core.train.settings import FinetuneSettings, finished


def clean(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings | None = None,
    method: str = "bye",
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Progress]:
    """The whole of BYE's Algorithm 1; what an earlier call finished in `out` is not done again.

    `out` receives `suspect` (adapter tuned on everything), `run`, `data` (the cleaned set) and `cleaned` (adapter tuned
    on the rest). Without evidence of poisoning nothing is removed, and `suspect` is the result.
    """
    settings = settings or FinetuneSettings()
    suspect, run_path, cleaned_data, cleaned = out / "suspect", out / "run", out / "data", out / "cleaned"
    if not finished(suspect):
        yield from finetune(model, data, suspect, settings, format, columns)
    machine = ScanSettings(device=settings.device, dtype=settings.dtype)
    yield from scan(model, data, run_path, suspect, machine, format, columns)
    detection = detect_run(run_path, method)
    decide(run_path, reject_flagged=True, reviewer=f"method:{method}")
    facts = {"verdict": detection.verdict, "flagged": int(detection.flagged.sum()), "samples": len(detection.ids)}
    if detection.verdict != "poisoned":
        yield Progress("clean", 1, 1, "no evidence of poisoning", {**facts, "adapter": str(suspect)})
        return
    manifest = export_run(run_path, cleaned_data, data=data)
    if not finished(cleaned):
        yield from finetune(model, cleaned_data, cleaned, settings, format, columns)
    facts |= {"kept": manifest["counts"]["kept"], "data": str(cleaned_data), "adapter": str(cleaned)}
    yield Progress("clean", 1, 1, "done", facts)
