"""Adds a LoRA adapter to a model and saves it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from torch.nn.modules.batchnorm import _BatchNorm

from bye_core.model_protocol import VisionLanguageModel
from bye_core.train.settings import FinetuneSettings


def lora_config(targets: list[str], settings: FinetuneSettings) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def with_lora(loaded: VisionLanguageModel, settings: FinetuneSettings) -> PeftModel:
    """Return the loaded model wrapped by peft, with LoRA on the modules that `settings` select.

    Matrix B of LoRA starts at zero, so before the first step the wrapped model is equivalent to the base model.
    """
    base = loaded.model
    if settings.qlora:
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    if settings.gradient_checkpointing:
        # The first name is that of newer transformers versions. Both calls also make the outputs of the frozen
        # embeddings require a gradient, which checkpointing needs.
        enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    keep_batch_statistics(base)
    targets = loaded.family.lora_targets(base, projector=settings.projector, tower=settings.vision)
    return get_peft_model(base, lora_config(targets, settings))


def keep_batch_statistics(model: torch.nn.Module) -> None:
    """Make batch normalisation use its stored statistics in training too, as in the scan; convolutional towers have it.

    Otherwise it would use and store the statistics of the training batches, which the adapter does not hold.
    """
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(_evaluate)


def _evaluate(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
    module.training = False


def save_adapter(
    tuned: PeftModel, identity: Mapping[str, Any], out: Path, weights: dict[str, Any] | None = None
) -> None:
    """Save the LoRA weights as safetensors. Stores a relative path to the base model, so both can move together.

    weights  the trained weights by name, if `tuned` is split over several processes
    """
    model = str(identity["model"])
    base = os.path.relpath(model, out) if Path(model).is_dir() else model
    tuned.peft_config["default"].base_model_name_or_path = Path(base).as_posix()
    # The vocabulary is never resized; without this option, peft would look for the base model on the hub to check.
    tuned.save_pretrained(str(out), safe_serialization=True, save_embedding_layers=False, state_dict=weights)
    # peft's model card is an empty template; finetune.json records the training.
    (out / "README.md").unlink(missing_ok=True)
