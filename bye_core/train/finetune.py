"""Fine-tunes a model with LoRA. The card, finetune.json, is written last and marks the adapter as complete."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import PrinterCallback, TrainingArguments, set_seed

from bye_core.files import write_atomic
from bye_core.model_protocol import OpenImages, VisionLanguageModel
from bye_core.process import StopRequest, is_out_of_memory
from bye_core.records import Fault, Sample
from bye_core.train import checkpoints, fsdp, preflight
from bye_core.train.adapter import with_lora
from bye_core.train.collate import Collator
from bye_core.train.errors import NotSaved, OutOfMemory
from bye_core.train.progress import PROGRESS, ProgressLog
from bye_core.train.sampler import SampleList
from bye_core.train.settings import CARD, BadFinetuneSetting, FinetuneSettings, learned_settings, needs_processes
from bye_core.train.trainer import CheckpointCallback, ResumableTrainer

LOGGED_STEPS = 5
CURVE_PARTS = 10  # of the loss curve in the card


def training_arguments(
    settings: FinetuneSettings, out: Path, loaded: VisionLanguageModel, processes: int = 1
) -> TrainingArguments:
    """Return the Trainer's arguments.

    Raises: BadFinetuneSetting if `batch` is not a multiple of `processes`, or with FSDP in one process.
    """
    device, dtype = loaded.device, loaded.dtype
    needs_processes(settings, processes)
    if settings.batch % processes:
        advice = f"Give a multiple of the number of processes, {processes}."
        raise BadFinetuneSetting(name="batch", value=settings.batch, advice=advice)
    micro_batch = preflight.samples_in_memory(settings, processes)
    return TrainingArguments(
        output_dir=str(checkpoints.folder_of(out)),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=settings.batch // (micro_batch * processes),
        learning_rate=settings.rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,
        max_grad_norm=settings.clip,
        lr_scheduler_type="linear",
        optim="adamw_torch",
        seed=settings.seed,
        data_seed=settings.seed,
        # Mixed precision: LoRA's weights stay in float32. float16 also needs loss scaling.
        bf16=dtype is torch.bfloat16,
        fp16=dtype is torch.float16 and device.type == "cuda",
        save_strategy="no",
        logging_steps=LOGGED_STEPS,
        report_to=[],
        remove_unused_columns=False,
        use_cpu=device.type == "cpu",
        ddp_backend="gloo" if device.type == "cpu" and processes > 1 else None,
        dataloader_pin_memory=device.type == "cuda",
        disable_tqdm=True,
        **(fsdp.trainer_options(loaded.model) if settings.fsdp else {}),
    )


def finetune(
    loaded: VisionLanguageModel,
    samples: Sequence[Sample],
    images: OpenImages,
    settings: FinetuneSettings,
    out: Path,
    facts: dict[str, Any],
    left_out: Sequence[Fault] = (),
    stop: StopRequest | None = None,
    processes: int = 1,
    trainer_class: type[ResumableTrainer] = ResumableTrainer,
) -> dict[str, Any]:
    """Fine-tune `loaded` on `samples`, save the adapter in `out` and return the card.

    Resumes from the newest complete checkpoint in `out`. The final weights equal those of a training without
    interruption; on the CPU bit for bit, if the settings in MACHINE and `processes` do not change. Every process of the
    training calls this function; only the first process writes files.

    facts          model and data set of the training, for the card
    left_out       records of the data set that cannot be used as samples
    stop           on request, the training saves a checkpoint and ends with Stopped
    processes      number of processes that share each batch
    trainer_class  a trainer with another loss, for experiments
    Raises: NothingToLearnFrom if no sample is usable; AdapterExists if `out` holds a finished adapter;
    BadFinetuneSetting if `batch` is not a multiple of `processes`; TrainingDiffers if `out` holds the checkpoints of
    another training; NotSaved if a file cannot be written; OutOfMemory if memory runs out.
    """
    checkpoints.refuse_finished(out)
    arguments = training_arguments(settings, out, loaded, processes)
    plan = preflight.run_preflight(loaded, samples, images, settings, processes)
    facts = {**facts, "samples": len(plan.samples), "left_out": len(plan.faults) + len(left_out)}
    checkpoint, before = _begin(out, _identity(facts, settings), arguments)
    progress = ProgressLog(out / PROGRESS if arguments.process_index == 0 else None, before.get("seconds", 0.0))
    progress.write(event="preflight", step=0, **plan.facts(left_out))
    set_seed(settings.seed)
    tuned = with_lora(loaded, settings)
    tuned.train()
    checkpointing = CheckpointCallback(settings, stop or StopRequest(), processes, loaded.device)
    trainer = trainer_class(
        model=tuned,
        args=arguments,
        train_dataset=SampleList(plan.samples),
        data_collator=Collator(loaded.family, images),
        # As soon as the progress tells of the training, a request to stop waits for a step that all processes agree on.
        callbacks=[checkpointing, progress],
        identity=loaded.identity,
        progress=progress,
        loss_before=before.get("loss", 0.0),
    )
    trainer.remove_callback(PrinterCallback)  # it prints dictionaries to standard output, where --json has its result
    _train(trainer, checkpoint)
    checkpointing.end_if_asked()
    tuned.eval()
    steps = trainer.state.global_step
    card = {**facts, "settings": asdict(settings), "steps": steps, "loss": trainer.total_loss() / steps}
    card["losses"] = loss_curve(trainer.state.log_history)
    _finish(trainer, out, card)
    progress.write(event="done", step=steps, steps=steps, loss=card["loss"])
    return card


def loss_curve(history: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the mean loss of each of at most CURVE_PARTS equal parts of the training, in order."""
    losses = np.array([logs["loss"] for logs in history if "loss" in logs], float)
    parts = np.array_split(losses, min(CURVE_PARTS, len(losses))) if len(losses) else []
    return [round(float(part.mean()), 4) for part in parts]


def _identity(facts: dict[str, Any], settings: FinetuneSettings) -> dict[str, Any]:
    """Return what identifies a training: its model, its data set and the settings that decide what is learned."""
    model = facts["model"]["model_digest"]
    return {"model": model, "data set": facts["data_digest"], "samples": facts["samples"], **learned_settings(settings)}


def _begin(out: Path, training: dict[str, Any], arguments: TrainingArguments) -> tuple[Path | None, dict[str, Any]]:
    """Return (checkpoint, facts), the same in every process.

    The checkpoint is the folder to resume from, None to start from the beginning. The facts are the content of its
    complete.json.
    """
    found: list[Path | None] = [None]
    if arguments.process_index == 0:
        found = [checkpoints.prepare(out, training)]
    if arguments.world_size > 1:
        torch.distributed.broadcast_object_list(found)
    (checkpoint,) = found
    return checkpoint, (checkpoints.verified_facts(checkpoint) if checkpoint else None) or {}


def _train(trainer: ResumableTrainer, checkpoint: Path | None) -> None:
    if trainer.args.process_index:
        # Dropout must use different random numbers in every process.
        torch.manual_seed(trainer.args.seed + trainer.args.process_index)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(reason=next(iter(str(error).splitlines()), "MemoryError"), kept=trainer.kept()) from error


def _finish(trainer: ResumableTrainer, out: Path, card: dict[str, Any]) -> None:
    """Save the adapter, then its card, and delete the checkpoints, which are no longer needed."""
    try:
        trainer.save_model(str(out))
        if trainer.args.process_index:
            return
        write_atomic(out / CARD, (json.dumps(card, indent=1) + "\n").encode("ascii"))
    except (OSError, SafetensorError) as error:
        raise NotSaved(path=out, reason=error, kept="it resumes from the last checkpoint") from error
    checkpoints.discard(out)
