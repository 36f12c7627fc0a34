"""LoRA fine-tuning with transformers and peft: progress as JSON lines, and a card that marks an adapter as whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import TrainingArguments, set_seed

from bye_core.files import write_atomic
from bye_core.process import StopRequest, is_out_of_memory
from bye_core.records import Fault, Sample
from bye_core.train import checkpoints, preflight
from bye_core.train.adapter import save_adapter, with_lora
from bye_core.train.collate import Collator
from bye_core.train.errors import NotSaved, OutOfMemory
from bye_core.train.progress import PROGRESS, JsonLines
from bye_core.train.sample_order import SampleList
from bye_core.train.settings import CARD, MACHINE, BadFinetuneSetting, FinetuneSettings
from bye_core.train.trainer import Keeper, KeptTrainer

LOGGED_STEPS = 5


def training_arguments(
    settings: FinetuneSettings, out: Path, device: torch.device, dtype: torch.dtype, processes: int = 1
) -> TrainingArguments:
    """Raises BadFinetuneSetting where `processes` cannot share a batch evenly."""
    if settings.batch % processes:
        advice = f"Give a multiple of the number of processes, {processes}."
        raise BadFinetuneSetting(name="batch", value=settings.batch, advice=advice)
    micro_batch = preflight.per_step(settings, processes)
    return TrainingArguments(
        output_dir=str(checkpoints.root_of(out)),
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
        # Half a model's numbers: LoRA's own weights stay in float32, and float16 needs its loss scaled.
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
    )


def finetune(
    loaded: Any,
    samples: Sequence[Sample],
    pictures: Callable[[Sample], list[Image.Image]],
    settings: FinetuneSettings,
    out: Path,
    facts: dict[str, Any],
    left_out: Sequence[Fault] = (),
    stop: StopRequest | None = None,
    processes: int = 1,
    kind: type[KeptTrainer] = KeptTrainer,
) -> dict[str, Any]:
    """Fine-tune `loaded` on `samples` and save the adapter in `out`; returns the card.

    Goes on from the newest complete checkpoint in `out`, if there is one, and ends with the weights of a training that
    was never interrupted (on the CPU bit for bit, while MACHINE's settings and `processes` stay what they were, too).
    `stop` ends it where a checkpoint has been saved. The card tells `facts` (what was trained on what); it is written
    last: a folder without it holds no finished adapter. `left_out` are records that never became samples. Each of
    `processes` calls this; the first alone writes. `kind` is a trainer with another loss, for experiments.
    Raises NothingToLearnFrom, AdapterExists, BadFinetuneSetting, TrainingDiffers, NotSaved, OutOfMemory.
    """
    checkpoints.refuse_finished(out)
    arguments = training_arguments(settings, out, loaded.device, loaded.dtype, processes)
    plan = preflight.look(loaded, samples, pictures, settings, processes)
    facts = {**facts, "samples": len(plan.samples), "left_out": len(plan.faults) + len(left_out)}
    checkpoint, before = _begin(out, _identity(facts, settings), arguments)
    lines = JsonLines(out / PROGRESS if arguments.process_index == 0 else None, before.get("seconds", 0.0))
    lines.write(event="preflight", step=0, **plan.facts(left_out))
    set_seed(settings.seed)
    tuned = with_lora(loaded, settings)
    tuned.train()
    keeper = Keeper(settings, stop or StopRequest(), processes, loaded.device)
    trainer = kind(
        model=tuned,
        args=arguments,
        train_dataset=SampleList(plan.samples),
        data_collator=Collator(loaded.family, pictures),
        callbacks=[lines, keeper],
        identity=loaded.identity,
        lines=lines,
        loss_before=before.get("loss", 0.0),
    )
    _train(trainer, checkpoint)
    keeper.end_if_asked()
    tuned.eval()
    steps = trainer.state.global_step
    card = {**facts, "settings": asdict(settings), "steps": steps, "loss": trainer.total_loss() / steps}
    if arguments.process_index == 0:
        _finish(tuned, loaded.identity, out, card)
        lines.write(event="done", step=steps, steps=steps, loss=card["loss"])
    return card


def _identity(facts: dict[str, Any], settings: FinetuneSettings) -> dict[str, Any]:
    """What makes two trainings the same one."""
    learned = {name: value for name, value in asdict(settings).items() if name not in MACHINE}
    model = facts["model"]["model_digest"]
    return {"model": model, "data set": facts["data_digest"], "samples": facts["samples"], **learned}


def _begin(out: Path, training: dict[str, Any], arguments: TrainingArguments) -> tuple[Path | None, dict[str, Any]]:
    """The checkpoint to go on from and what is known of it, the same in every process."""
    found = [None]
    if arguments.process_index == 0:
        found = [checkpoints.begin(out, training)]
    if arguments.world_size > 1:
        torch.distributed.broadcast_object_list(found)
    (checkpoint,) = found
    return checkpoint, (checkpoints.facts_of(checkpoint) if checkpoint else None) or {}


def _train(trainer: KeptTrainer, checkpoint: Path | None) -> None:
    if trainer.args.process_index:
        # Dropout draws other numbers in every process.
        torch.manual_seed(trainer.args.seed + trainer.args.process_index)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(reason=next(iter(str(error).splitlines()), "MemoryError"), kept=trainer.kept()) from error


def _finish(tuned: Any, identity: dict[str, Any], out: Path, card: dict[str, Any]) -> None:
    """Save the adapter, and its card once all of it is there; then no checkpoint is needed any more."""
    try:
        save_adapter(tuned, identity, out)
        write_atomic(out / CARD, (json.dumps(card, indent=1) + "\n").encode("ascii"))
    except (OSError, SafetensorError) as error:
        raise NotSaved(path=out, reason=error, kept="it goes on from the last checkpoint") from error
    checkpoints.discard(out)
