"""Fine-tuning of a model on a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from bye_core import runs
from bye_core.pipeline.sets import readable, ready, source_arguments
from bye_core.records import Progress
from bye_core.train.child import run_child
from bye_core.train.settings import AdapterExists, FinetuneSettings, finished


def finetune_here(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> None:
    """Fine-tune in this process; `finetune` runs this in a child. The card names the device and dtype taken."""
    from bye_core.models import load_model
    from bye_core.train.lora import finetune as train

    dataset = ready(data, format, columns)
    samples = readable(dataset)
    loaded = load_model(model, device=settings.device, dtype=settings.dtype)
    settings = replace(settings, device=str(loaded.device), dtype=loaded.identity["dtype"])
    facts = {
        "model": loaded.identity,
        "data_digest": dataset.digest,
        "samples": len(samples),
        "left_out": dataset.size - len(samples),
        "versions": runs.versions(),
    }
    train(loaded, samples, dataset.images, settings, out, facts)


def finetune(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Iterator[Progress]:
    """LoRA fine-tuning of `model` on `data` in a child process; the adapter is in `out` when the last item came."""
    if finished(out):
        raise AdapterExists(out=out)
    arguments = ["finetune", "--here", "--model", model, "--data", str(data), "--out", str(out)]
    arguments += source_arguments(format, columns)
    for name, value in asdict(settings or FinetuneSettings()).items():
        flag = name.replace("_", "-")
        arguments += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    for event in run_child(arguments, progress=out / "progress.jsonl", log=out / "log.txt"):
        yield Progress("finetune", event["step"], event["steps"], facts=event)
