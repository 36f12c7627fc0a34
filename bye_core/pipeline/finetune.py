"""Fine-tunes a model on a data set."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.data import DataSet
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.model_protocol import VisionLanguageModel
from bye_core.pipeline.check import ready
from bye_core.process import StopRequest
from bye_core.records import Progress
from bye_core.runs.lock import locked
from bye_core.train.checkpoints import refuse_finished
from bye_core.train.child import run_child
from bye_core.train.settings import FinetuneSettings, needs_processes, settings_arguments

LOCK = "training.lock"
DISK_ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST)


def finetune_here(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings,
    reading: ReadingOptions = AUTOMATIC,
    stop: StopRequest | None = None,
) -> dict[str, Any] | None:
    """Fine-tune in this process, which may be one of several under torchrun. `finetune` calls this in a child process.

    Records that cannot be used are left out, and so are records without an image; the card counts them as `left_out`
    and the latter also as `text_only`.
    Returns the adapter's card, which includes device and dtype; None in all processes except the first. A request to
    `stop` ends the training after a checkpoint is saved. Raises: RunBusy if another process trains into `out`; the
    errors of bye_core.train.finetune.finetune.
    """
    from bye_core.train.finetune import finetune as train

    needs_processes(settings, _processes())  # before the model is loaded
    refuse_finished(out)
    first = int(os.environ.get("RANK", 0)) == 0
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with _disk_errors(out), locked(out / LOCK) if first else nullcontext():
        dataset, loaded, settings = _loaded(model, data, settings, reading)
        facts: dict[str, Any] = {"model": loaded.identity, "data_digest": dataset.digest, "versions": runs.versions()}
        facts |= {"text_only": len(dataset.text_only)} if dataset.text_only else {}
        how = (settings, out, facts, dataset.faults, stop, _processes())
        card = train(loaded, dataset.samples, dataset.images, *how)
    if not first:
        return None
    (out / LOCK).unlink()
    return card


def preflight(
    model: str,
    data: str | Path,
    settings: FinetuneSettings | None = None,
    reading: ReadingOptions = AUTOMATIC,
) -> dict[str, Any]:
    """Return what a fine-tuning would use, without training: samples, skipped samples, token lengths, memory, steps."""
    from bye_core.train.fsdp import planned_processes
    from bye_core.train.preflight import run_preflight

    dataset, loaded, settings = _loaded(model, data, settings or FinetuneSettings(), reading)
    processes = planned_processes() if settings.fsdp and _processes() == 1 else _processes()
    return run_preflight(loaded, dataset.samples, dataset.images, settings, processes).facts(dataset.faults)


def _loaded(
    model: str, data: str | Path, settings: FinetuneSettings, reading: ReadingOptions
) -> tuple[DataSet, VisionLanguageModel, FinetuneSettings]:
    """Return the data set, the model on this process's device, and the settings with device and dtype filled in."""
    from bye_core.models.loading import load_model, pick_device, pick_dtype

    dataset = ready(data, reading)
    device = pick_device(settings.device)
    if str(device) == "cuda" and _processes() > 1:
        device = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
    dtype = str(pick_dtype(settings.dtype, device)).removeprefix("torch.")
    # FSDP moves the weights to the device layer by layer: the whole model may be too large for it.
    first = "cpu" if settings.fsdp else str(device)
    loaded = load_model(model, device=first, dtype=dtype, four_bit=settings.qlora, pixels=settings.pixels)
    loaded = replace(loaded, device=device)
    return dataset, loaded, replace(settings, device=str(device), dtype=loaded.identity["dtype"])


def _processes() -> int:
    """Return the number of processes that share the training (WORLD_SIZE, set by torchrun)."""
    return int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Convert the errors of a full or read-only disk to RunNotWritable."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise runs.RunNotWritable(path=out, reason=error.strerror) from error


def _events(arguments: list[str], out: Path) -> Iterator[dict[str, Any]]:
    with _disk_errors(out):
        yield from run_child(arguments, progress=out / "progress.jsonl", log=out / "log.txt")


def finetune_arguments(
    model: str, data: str | Path, out: Path, settings: FinetuneSettings, reading: ReadingOptions
) -> list[str]:
    """Return the words of the command line that trains in the process that runs it."""
    arguments = ["finetune", "--here", "--model", model, "--data", str(data), "--out", str(out)]
    return [*arguments, *reading.arguments(), *settings_arguments(settings)]


def finetune(
    model: str,
    data: str | Path,
    out: Path,
    settings: FinetuneSettings | None = None,
    reading: ReadingOptions = AUTOMATIC,
) -> Iterator[Progress]:
    """Fine-tune `model` on `data` with LoRA in a child process; the adapter is in `out` after the last item.

    A fine-tuning that was stopped or killed resumes from its last checkpoint when called again.
    Raises: BadFinetuneSetting with `fsdp`, which needs several processes; the errors of `finetune_here`.
    """
    needs_processes(settings or FinetuneSettings())
    refuse_finished(out)
    with _disk_errors(out):  # before a child process starts
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    arguments = finetune_arguments(model, data, out, settings or FinetuneSettings(), reading)
    for event in _events(arguments, out):
        yield Progress("finetune", event["step"], event["steps"], facts=event)
