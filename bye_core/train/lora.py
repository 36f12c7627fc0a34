"""LoRA fine-tuning with transformers and peft: progress as JSON lines, and a card that marks an adapter as whole."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from bye_core.errors import SettingError
from bye_core.records import Sample
from bye_core.train.collate import Collator
from bye_core.train.settings import CARD, AdapterExists, FinetuneSettings, finished

PROGRESS = "progress.jsonl"


class NothingToLearnFrom(SettingError):
    problem = "The data set has no ready sample to fine-tune on."
    remedy = "Run `python -m bye_core check DATA` and mend the faults that it lists."


class JsonLines(TrainerCallback):
    """Appends one JSON object per event to `path`, flushed, for whoever watches the job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start = time.monotonic()

    def write(self, **event: Any) -> None:
        event["seconds"] = round(time.monotonic() - self.start, 2)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def on_train_begin(self, args, state, control, **_):
        self.write(event="begin", step=0, steps=state.max_steps)

    def on_log(self, args, state, control, logs=None, **_):
        if logs and "loss" in logs:
            loss, rate = float(logs["loss"]), float(logs["learning_rate"])
            self.write(event="step", step=state.global_step, steps=state.max_steps, loss=loss, rate=rate)


class SampleList(Dataset):
    """Samples as a torch data set; pictures are opened by the collator."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Sample:
        return self.samples[place]


def with_lora(loaded: Any, settings: FinetuneSettings) -> Any:
    """The loaded model wrapped by peft: LoRA on the language model's linear layers and, if wanted, the projector's.

    LoRA's B starts at zero, so the wrapped model computes what the bare one does until the first step.
    """
    targets = loaded.family.lora_targets(loaded.model, projector=settings.projector)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(loaded.model, config)


def training_arguments(settings: FinetuneSettings, out: Path, device: torch.device) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out / "checkpoints"),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.micro_batch,
        gradient_accumulation_steps=settings.batch // settings.micro_batch,
        learning_rate=settings.rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup,
        max_grad_norm=settings.clip,
        lr_scheduler_type="linear",
        optim="adamw_torch",
        seed=settings.seed,
        data_seed=settings.seed,
        save_strategy="no",
        logging_steps=5,
        report_to=[],
        remove_unused_columns=False,
        use_cpu=device.type == "cpu",
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
) -> Path:
    """Fine-tune `loaded` on `samples` and save the adapter in `out`; returns `out`.

    `facts` (what was trained on what) goes into the card beside the adapter, which is written last: a folder without
    it holds no finished adapter. Raises NothingToLearnFrom, AdapterExists.
    """
    if not samples:
        raise NothingToLearnFrom()
    if finished(out):
        raise AdapterExists(out=out)
    out.mkdir(parents=True, exist_ok=True)
    set_seed(settings.seed)
    lines = JsonLines(out / PROGRESS)
    tuned = with_lora(loaded, settings)
    tuned.train()
    trainer = Trainer(
        model=tuned,
        args=training_arguments(settings, out, loaded.device),
        train_dataset=SampleList(samples),
        data_collator=Collator(loaded.family, pictures),
        callbacks=[lines],
    )
    result = trainer.train()
    tuned.eval()
    save_adapter(tuned, loaded.identity, out)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    card = {**facts, "settings": asdict(settings), "steps": result.global_step, "loss": result.training_loss}
    part = out / (CARD + ".part")
    part.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    os.replace(part, out / CARD)
    lines.write(event="done", step=result.global_step, steps=result.global_step, loss=result.training_loss)
    return out


def save_adapter(tuned: Any, identity: dict[str, Any], out: Path) -> None:
    """Save LoRA weights as safetensors; the base is named as seen from the adapter, so that a folder can be moved."""
    model = str(identity["model"])
    base = os.path.relpath(model, out) if Path(model).is_dir() else model
    tuned.peft_config["default"].base_model_name_or_path = Path(base).as_posix()
    # The vocabulary is never resized; left to itself, peft would look for the base on a hub to find out.
    tuned.save_pretrained(out, safe_serialization=True, save_embedding_layers=False)
    # peft's model card is a form full of blanks; finetune.json says what was done.
    (out / "README.md").unlink(missing_ok=True)
