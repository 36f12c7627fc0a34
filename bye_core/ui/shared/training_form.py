"""The fields of a fine-tuning, as several tabs show them. No gradio."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from math import gcd
from typing import Any

from bye_core.train.settings import FinetuneSettings
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import hosted

# The fields of the form, in its order; the first five are always in sight.
MAIN = ("rank", "alpha", "rate", "epochs", "batch")

MORE = ("micro_batch", "dropout", "weight_decay", "warmup", "clip", "seed", "device", "dtype", "save_seconds")

SWITCHES = ("projector", "vision", "gradient_checkpointing", "qlora")

SETTINGS = (*MAIN, *MORE, *SWITCHES)

# label, help: short, so that fields side by side stay level
WORDS = {
    "rank": ("Rank", "LoRA's size"),
    "alpha": ("Alpha", "LoRA's strength"),
    "rate": ("Learning rate", "falls linearly"),
    "epochs": ("Epochs", "passes over the data"),
    "batch": ("Batch", "samples a step"),
    "micro_batch": ("In memory at once", "samples of a batch"),
    "dropout": ("Dropout", "of LoRA's input"),
    "projector": ("Projector", "train it too: small models need it"),
    "vision": ("Vision tower", "train it too"),
    "gradient_checkpointing": ("Gradient checkpointing", "less memory, slower"),
    "qlora": ("QLoRA", "model in 4 bits; needs bitsandbytes"),
    "save_seconds": ("Checkpoint", "every so many seconds"),
    "weight_decay": ("Weight decay", "AdamW's"),
    "warmup": ("Warm-up", "share of all steps"),
    "clip": ("Clip", "largest gradient norm"),
    "seed": ("Seed", "of order and start"),
    "device": ("Device", "auto, cpu, cuda, mps"),
    "dtype": ("Precision", "auto, float32, bfloat16, ..."),
}


def check_allowed() -> None:
    """Raises NotHere on a public host: strangers share its few cores."""
    if hosted():
        raise NotHere(what="Fine-tuning", instead="Run the app, or the command, on your own machine.")


def settings_from_form(values: Mapping[str, Any]) -> FinetuneSettings:
    """The form's values in the settings' own types; an emptied field is the default, and `micro_batch`, where nobody
    has changed it, is made to fit `batch`. Raises BadFinetuneSetting."""
    usual = {one.name: one.default for one in dataclasses.fields(FinetuneSettings)}
    filled = {name: value for name, value in values.items() if value is not None and value != ""}
    given = {name: type(usual[name])(value) for name, value in filled.items()}
    batch, least = given.get("batch", usual["batch"]), usual["micro_batch"]
    if given.get("micro_batch", least) == least and batch > 0:
        given["micro_batch"] = gcd(batch, least)
    return FinetuneSettings(**given)
