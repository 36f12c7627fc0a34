"""The LoRA adapter: where it is put, and how it is saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

from bye_core.train.settings import FinetuneSettings


def lora_config(targets: list[str], settings: FinetuneSettings) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def with_lora(loaded: Any, settings: FinetuneSettings) -> PeftModel:
    """The loaded model wrapped by peft: LoRA on the language model's linear layers and, if wanted, on the projector's
    and the vision tower's.

    LoRA's B starts at zero, so the wrapped model computes what the bare one does until the first step.
    """
    base = loaded.model
    if settings.qlora:
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    if settings.gradient_checkpointing:
        # The name of the newer versions, where there is one. Frozen embeddings give no gradient: both have the
        # inputs of the first layer carry one.
        enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    targets = loaded.family.lora_targets(base, projector=settings.projector, tower=settings.vision)
    return get_peft_model(base, lora_config(targets, settings))


def save_adapter(tuned: PeftModel, identity: dict[str, Any], out: Path) -> None:
    """Save LoRA weights as safetensors; the base is named as seen from the adapter, so that a folder can be moved."""
    model = str(identity["model"])
    base = os.path.relpath(model, out) if Path(model).is_dir() else model
    tuned.peft_config["default"].base_model_name_or_path = Path(base).as_posix()
    # The vocabulary is never resized; left to itself, peft would look for the base on a hub to find out.
    tuned.save_pretrained(out, safe_serialization=True, save_embedding_layers=False)
    # peft's model card is a form full of blanks; finetune.json says what was done.
    (out / "README.md").unlink(missing_ok=True)
