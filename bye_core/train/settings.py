"""The settings of a fine-tuning, with their sources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from bye_core.errors import SettingError
from bye_core.files import read_regular
from bye_core.model_protocol import UNLIMITED, PixelLimits

CARD = "finetune.json"
CARD_BYTES = 16 << 20  # the losses of 100,000 steps take 2 MB
TRAINING = ("data_digest", "samples", "steps", "loss", "losses")  # what a run keeps of the card
LARGEST = 1e15  # number in a card; a larger one is none that a training has
MOST_LOSSES = 1000  # of a card; more are not kept


class AdapterExists(SettingError):
    problem = "{out} already holds a finished adapter."
    remedy = "Set another folder with --out, or delete this folder."


class BadFinetuneSetting(SettingError):
    problem = "{name} = {value!r} is not valid for fine-tuning."
    remedy = "{advice}"


@dataclass(frozen=True)
class FinetuneSettings:
    """LoRA with the recipe of the BYE paper: 3 epochs, batch 16, AdamW, linear decay, 2e-4 for LLaVA-1.5-7B.

    rank, alpha      rank and alpha of LoRA; the paper states neither, 16 and 32 are ours
    batch            samples per optimizer step
    micro_batch      samples in memory at once
    rate             initial learning rate
    projector        adapt the projector, as in LLaVA's recipe; without it, small models do not learn the patch trigger
    vision           adapt the vision tower, which the paper leaves unchanged
    qlora            hold the language model in 4 bits (nf4) during training
    fsdp             split the model over the processes of the training (FSDP2), instead of a copy in each
    warmup           share of the steps with a rising learning rate (the paper states none)
    clip             largest norm of the gradient
    gradient_checkpointing   compute activations twice instead of storing them: less memory, about a third slower
    save_steps       number of steps between two checkpoints; 0 saves none by steps
    save_seconds     number of seconds between two checkpoints; 0 saves none by time
    device, dtype    device and data type of the training; "auto" chooses by the machine
    min_pixels, max_pixels   least and most pixels of a resized image; 0 keeps the setting of the model's processor
    """

    epochs: float = 3.0
    batch: int = 16
    micro_batch: int = 16
    rate: float = 2e-4
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    projector: bool = True
    vision: bool = False
    qlora: bool = False
    fsdp: bool = False
    weight_decay: float = 0.0
    warmup: float = 0.0
    clip: float = 1.0
    seed: int = 0
    gradient_checkpointing: bool = False
    save_steps: int = 0
    save_seconds: float = 300.0
    device: str = "auto"
    dtype: str = "auto"
    min_pixels: int = 0
    max_pixels: int = 0

    @property
    def pixels(self) -> PixelLimits:
        return PixelLimits(self.min_pixels, self.max_pixels)

    def __post_init__(self) -> None:
        positive = ("epochs", "batch", "micro_batch", "rate", "rank", "alpha", "clip")
        for name in positive:
            if not getattr(self, name) > 0:
                raise BadFinetuneSetting(name=name, value=getattr(self, name), advice="Give a number above 0.")
        for name in ("save_steps", "save_seconds", "min_pixels", "max_pixels"):
            if not getattr(self, name) >= 0:
                unset = "never" if name.startswith("save") else "unchanged"
                raise BadFinetuneSetting(name=name, value=getattr(self, name), advice=f"Give 0 ({unset}) or more.")
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise BadFinetuneSetting(
                    name=name, value=getattr(self, name), advice="Give a number from 0 to below 1."
                )
        if self.batch % self.micro_batch:
            advice = f"Give a divisor of batch = {self.batch}."
            raise BadFinetuneSetting(name="micro_batch", value=self.micro_batch, advice=advice)
        if self.fsdp and self.qlora:
            advice = "Give --fsdp or --qlora, not both: weights in 4 bits are not split."
            raise BadFinetuneSetting(name="fsdp", value=True, advice=advice)


NEWER = ("min_pixels", "max_pixels", "fsdp")  # settings that earlier versions did not have
# Settings that depend on the machine. The other settings and the data determine the result of the training.
MACHINE = ("micro_batch", "gradient_checkpointing", "save_steps", "save_seconds", "device")

# The recipes of the paper. They differ only in the learning rate.
PRESETS = {
    "paper": FinetuneSettings(),
    "paper-internvl": replace(FinetuneSettings(), rate=4e-5),
}


def finished(out: Path) -> bool:
    """Return whether the folder holds a finished adapter: its card, which is written last."""
    return (out / CARD).is_file()


def training_facts(adapter: Path) -> dict[str, Any] | None:
    """Return what an adapter's card says about its training (TRAINING, epochs); None if it has no such card."""
    try:
        card = json.loads(read_regular(adapter / CARD, CARD_BYTES))
    except (OSError, ValueError, RecursionError):
        return None  # the adapter was trained elsewhere
    if not isinstance(card, dict):
        return None
    settings = card.get("settings")
    epochs = settings.get("epochs") if isinstance(settings, dict) else None
    return checked_facts({**card, "epochs": epochs})


def checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about a training (TRAINING, epochs) that have the type which this version writes.

    Another program's finetune.json may hold anything.
    """
    return {name: facts[name] for name in (*TRAINING, "epochs") if name in facts and _is_fact(name, facts[name])}


def _is_fact(name: str, value: Any) -> bool:
    if name == "data_digest":
        return isinstance(value, str)
    if name == "losses":
        return isinstance(value, list) and len(value) <= MOST_LOSSES and all(map(_is_number, value))
    if name in ("samples", "steps"):
        return _is_number(value) and isinstance(value, int) and value >= 0
    return _is_number(value) and (name == "loss" or value > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def trained_pixels(adapter: Path) -> PixelLimits:
    """Return the pixel limits with which an adapter was trained; zeros if its card names none."""
    try:
        settings = json.loads(read_regular(adapter / CARD, CARD_BYTES))["settings"]
        return PixelLimits(int(settings.get("min_pixels", 0)), int(settings.get("max_pixels", 0)))
    except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError, AttributeError):
        return UNLIMITED  # the adapter was trained elsewhere


def learned_settings(settings: FinetuneSettings) -> dict[str, Any]:
    """Return the settings that decide what is learned, without those of the machine and without unset NEWER settings.

    So a training that was begun by a version without the newer settings can be resumed. `fsdp` changes the results only
    by rounding, but the checkpoints have another format.
    """
    unset = [name for name in NEWER if not getattr(settings, name)]
    return {name: value for name, value in asdict(settings).items() if name not in (*MACHINE, *unset)}


def needs_processes(settings: FinetuneSettings, processes: int = 1) -> None:
    """Raise BadFinetuneSetting if the model is to be split, but the training has only one process."""
    if settings.fsdp and processes == 1:
        advice = "Start one process for each GPU: `finetune --dry-run --fsdp` prints the command."
        raise BadFinetuneSetting(name="fsdp", value=True, advice=advice)


def settings_arguments(settings: FinetuneSettings) -> list[str]:
    """Return the command-line flags of every setting that differs from the default, in the order of the fields."""
    flags: list[str] = []
    for field in fields(settings):
        value, flag = getattr(settings, field.name), field.name.replace("_", "-")
        if value == field.default:
            continue
        flags += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return flags
