"""How to fine-tune: named settings with their sources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bye_core.errors import SettingError

CARD = "finetune.json"


class AdapterExists(SettingError):
    problem = "{out} already holds a finished adapter."
    remedy = "Name another folder with --out, or delete this one first."


class BadFinetuneSetting(SettingError):
    problem = "{name} = {value!r} makes no sense for fine-tuning."
    remedy = "{advice}"


@dataclass(frozen=True)
class FinetuneSettings:
    """The paper's recipe (3 epochs, global batch 16, AdamW, linear decay, 2e-4 for LLaVA-1.5-7B) with LoRA.

    rank, alpha      LoRA; the paper names neither, 16 and 32 are ours
    batch            samples an optimizer step sees; micro_batch of them are in memory at once
    projector        also adapt the projector: LLaVA's recipe trains it, and small models do not learn a patch without
    warmup           share of the steps with a rising rate (paper: none named)
    device, dtype    where and in which number type to train; "auto" chooses by the machine
    """

    epochs: float = 3.0
    batch: int = 16
    micro_batch: int = 16
    rate: float = 2e-4
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    projector: bool = True
    weight_decay: float = 0.0
    warmup: float = 0.0
    clip: float = 1.0
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        positive = ("epochs", "batch", "micro_batch", "rate", "rank", "alpha", "clip")
        for name in positive:
            if not getattr(self, name) > 0:
                raise BadFinetuneSetting(name=name, value=getattr(self, name), advice="Give a number above 0.")
        for name in ("dropout", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise BadFinetuneSetting(
                    name=name, value=getattr(self, name), advice="Give a number from 0 to below 1."
                )
        if self.batch % self.micro_batch:
            advice = f"Give a divisor of batch = {self.batch}."
            raise BadFinetuneSetting(name="micro_batch", value=self.micro_batch, advice=advice)


def finished(out: Path) -> bool:
    """Whether the folder holds a finished adapter: its card is written last."""
    return (out / CARD).is_file()
