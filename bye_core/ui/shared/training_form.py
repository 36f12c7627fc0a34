"""The form fields for the settings of a fine-tuning, shared by several tabs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import gcd
from typing import Any

import gradio as gr

from bye_core.train.settings import FinetuneSettings
from bye_core.ui.shared.devices import DTYPES, device_choices
from bye_core.ui.shared.limits import NotHere
from bye_core.ui.workspace import hosted

MAIN = ("rank", "alpha", "rate", "epochs", "batch")  # always visible
MORE = (
    "micro_batch",
    "dropout",
    "weight_decay",
    "warmup",
    "clip",
    "seed",
    "device",
    "dtype",
    "save_seconds",
    "min_pixels",
    "max_pixels",
)
SWITCHES = ("projector", "vision", "gradient_checkpointing", "qlora")
SETTINGS = (*MAIN, *MORE, *SWITCHES)
DEFAULTS = FinetuneSettings()
CHOICES = {"device": device_choices, "dtype": lambda: DTYPES}  # offered; another value can be entered

# Label and help of each field. They are short, so that adjacent fields have the same height.
LABELS = {
    "rank": ("Rank", "of the LoRA matrices"),
    "alpha": ("Alpha", "scale: alpha / rank"),
    "rate": ("Learning rate", "decays linearly"),
    "epochs": ("Epochs", "passes over the data"),
    "batch": ("Batch size", "samples per step"),
    "micro_batch": ("Micro-batch size", "samples in memory"),
    "dropout": ("LoRA dropout", "probability"),
    "projector": ("Train the projector", "small models need it"),
    "vision": ("Train the vision tower", "with LoRA too"),
    "gradient_checkpointing": ("Use gradient checkpointing", "less memory, slower"),
    "qlora": ("Use QLoRA", "4-bit model; needs bitsandbytes"),
    "save_seconds": ("Save every (s)", "0 for never"),
    "save_steps": ("Save every (steps)", "0 for never"),
    "weight_decay": ("Weight decay", "of AdamW"),
    "warmup": ("Warm-up", "share of all steps"),
    "clip": ("Gradient clipping", "largest norm"),
    "seed": ("Seed", "of order and weights"),
    "device": ("Device", "where it trains"),
    "dtype": ("Precision", "of the weights"),
    "min_pixels": ("Least pixels", "of a resized image; 0: the model's"),
    "max_pixels": ("Most pixels", "of a resized image; 0: the model's"),
}


def check_allowed() -> None:
    """Check that fine-tuning is allowed here. Raises: NotHere on a public host, where visitors share a few cores."""
    if hosted():
        raise NotHere(what="Fine-tuning", instead="Run the app or the command on your own machine.")


def setting_field(name: str, tab: str) -> Any:
    """Return the component for one fine-tuning setting; its HTML id is TAB-NAME."""
    value = getattr(DEFAULTS, name)
    label, info = LABELS.get(name, (name.replace("_", " ").capitalize(), ""))
    options = {"label": label, "info": info, "interactive": True, "elem_id": f"{tab}-{name}", "min_width": 120}
    if isinstance(value, bool):
        return gr.Checkbox(value, **options)
    if name in CHOICES:
        return gr.Dropdown(CHOICES[name](), value=value, allow_custom_value=True, **options)
    if isinstance(value, str):
        return gr.Textbox(value, max_lines=1, **options)
    return gr.Number(value, precision=0 if isinstance(value, int) else None, **options)


def settings_from_form(values: Mapping[str, Any]) -> FinetuneSettings:
    """Return the settings in the fields. An empty field means the default.

    A micro-batch size at its default is lowered until it divides the batch size.
    Raises: BadFinetuneSetting if a setting is not valid.
    """
    defaults = asdict(DEFAULTS)
    entered = {name: value for name, value in values.items() if value is not None and value != ""}
    settings = {name: type(defaults[name])(value) for name, value in entered.items()}
    batch, micro_batch = settings.get("batch", defaults["batch"]), defaults["micro_batch"]
    if settings.get("micro_batch", micro_batch) == micro_batch and batch > 0:
        settings["micro_batch"] = gcd(batch, micro_batch)
    return FinetuneSettings(**settings)
