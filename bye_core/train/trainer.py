"""transformers' Trainer with complete checkpoints, an end on request, and one order for any number of processes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback

from bye_core.process import BATCH_SECONDS, StopRequest
from bye_core.train import checkpoints
from bye_core.train.adapter import save_adapter
from bye_core.train.errors import NotSaved
from bye_core.train.progress import JsonLines
from bye_core.train.sample_order import EvenOrder
from bye_core.train.settings import FinetuneSettings


class Keeper(TrainerCallback):
    """Says when a checkpoint is due: every so many steps or seconds, and when the training is asked to end.

    All processes must agree on that: a checkpoint is made by all of them together.
    """

    def __init__(self, settings: FinetuneSettings, stop: StopRequest, processes: int, device: torch.device) -> None:
        self.steps, self.seconds = settings.save_steps, settings.save_seconds
        self.stop = stop
        self.processes, self.device = processes, device
        self.stopping = False
        self.saved = time.monotonic()

    def on_train_begin(self, args, state, control, **_):
        self.stop.asked(BATCH_SECONDS)

    def on_step_end(self, args, state, control, **_):
        elapsed = time.monotonic() - self.saved
        due = bool(self.steps and state.global_step % self.steps == 0) or bool(self.seconds and elapsed > self.seconds)
        due, self.stopping = self._agreed(due, self.stop.asked(BATCH_SECONDS))
        control.should_save |= due or self.stopping
        control.should_training_stop |= self.stopping
        # The last few steps, too, are on the curve and in the mean.
        control.should_log |= state.global_step == state.max_steps
        if control.should_save:
            self.saved = time.monotonic()

    def end_if_asked(self) -> None:
        """Raises Stopped if that is why the training has ended."""
        if self.stopping:
            self.stop.obey()

    def _agreed(self, *wishes: bool) -> tuple[bool, ...]:
        if self.processes == 1:
            return wishes
        common = torch.tensor(wishes, dtype=torch.int32, device=self.device)
        torch.distributed.all_reduce(common, op=torch.distributed.ReduceOp.MAX)
        return tuple(map(bool, common.tolist()))


class KeptTrainer(Trainer):
    """`identity` names the base model; `lines` tell how long the training has taken so far; `loss_before` is the sum
    of the losses of earlier attempts' steps."""

    def __init__(
        self, *arguments: Any, identity: dict[str, Any], lines: JsonLines, loss_before: float = 0.0, **more: Any
    ) -> None:
        self.identity, self.lines, self.loss_before = identity, lines, loss_before
        super().__init__(*arguments, **more)

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        if self.args.world_size == 1:
            return super()._get_train_sampler(train_dataset)
        multiple = self.args.per_device_train_batch_size * self.args.world_size
        order = EvenOrder(self.train_dataset, self.args.data_seed, multiple)
        self.add_callback(_EachEpoch(order))
        return order

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if self.args.should_save:
            save_adapter(self.model, self.identity, Path(output_dir or self.args.output_dir))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """As the Trainer does it, straight into the final folder; marked when all of it is on disk."""
        root = Path(self.args.output_dir)
        folder = root / f"{checkpoints.PREFIX}{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            loss = self.total_loss()
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.mark(folder, {"loss": loss, "seconds": self.lines.seconds})
                checkpoints.prune(root)
        except (OSError, RuntimeError, SafetensorError) as error:
            # The half of it would only take the place that is missing.
            shutil.rmtree(folder, ignore_errors=True)
            raise NotSaved(path=folder, reason=error, kept=self.kept()) from error

    def kept(self) -> str:
        """Where the same command would go on, in words."""
        last = checkpoints.newest(Path(self.args.output_dir))
        return f"it goes on from step {checkpoints.step_of(last)}" if last else "it begins again"

    def total_loss(self) -> float:
        """The sum of all steps' losses, those of earlier attempts included."""
        return self.loss_before + self._total_loss_scalar + self.accelerator.gather(self._tr_loss).mean().item()


class _EachEpoch(TrainerCallback):
    """accelerate does not reach the order behind the batches that a resumed process skips."""

    def __init__(self, order: EvenOrder) -> None:
        self.order = order

    def on_epoch_begin(self, args, state, control, **_):
        self.order.set_epoch(int(state.epoch or 0))
