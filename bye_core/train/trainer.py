"""A transformers Trainer whose trainings can be stopped and resumed from checkpoints.

The order of the samples is the same for any number of processes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback

from bye_core.process import BATCH_SECONDS, StopRequest
from bye_core.train import checkpoints, fsdp
from bye_core.train.adapter import save_adapter
from bye_core.train.errors import NotSaved
from bye_core.train.progress import ProgressLog
from bye_core.train.sampler import EvenSampler, SampleList
from bye_core.train.settings import FinetuneSettings


class CheckpointCallback(TrainerCallback):
    """Requests a checkpoint every `save_steps` steps, every `save_seconds` seconds, and when a stop is requested.

    The processes exchange their requests, because all processes must write a checkpoint at the same step.
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
        # Otherwise the last few steps would be missing in the loss curve and in the mean loss.
        control.should_log |= state.global_step == state.max_steps
        if control.should_save:
            self.saved = time.monotonic()

    def end_if_asked(self) -> None:
        """Raise Stopped if the training ended because a stop was requested."""
        if self.stopping:
            self.stop.obey()

    def _agreed(self, *wishes: bool) -> tuple[bool, ...]:
        if self.processes == 1:
            return wishes
        common = torch.tensor(wishes, dtype=torch.int32, device=self.device)
        torch.distributed.all_reduce(common, op=torch.distributed.ReduceOp.MAX)
        return tuple(map(bool, common.tolist()))


class ResumableTrainer(Trainer):
    """A Trainer that saves adapters with the path of their base model, and counts earlier attempts in its total loss.

    Its loss is the mean over all answer tokens of a batch, for any number of micro-batches and processes.

    identity     the identity of the loaded model, which names the base model
    progress     measures how long the training has taken, earlier attempts included
    loss_before  sum of the losses of all steps in earlier attempts
    """

    def __init__(
        self, *arguments: Any, identity: Mapping[str, Any], progress: ProgressLog, loss_before: float = 0.0, **more: Any
    ) -> None:
        self.identity, self.progress, self.loss_before = identity, progress, loss_before
        super().__init__(*arguments, **more)
        # Some classes of transformers 5.23, such as those of Qwen2.5-VL, deny this, although their loss does it. Their
        # loss would be a mean for each micro-batch: other weights of samples, and NaN if a micro-batch has no answer.
        self.model_accepts_loss_kwargs = True

    @property
    def folder(self) -> Path:
        """The folder of the checkpoints."""
        return Path(str(self.args.output_dir))

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler | None:
        if self.args.world_size == 1:
            return super()._get_train_sampler(train_dataset)
        multiple = self.args.per_device_train_batch_size * self.args.world_size
        order = EvenSampler(cast(SampleList, self.train_dataset), self.args.data_seed or 0, multiple)
        self.add_callback(_SetEpoch(order))
        return order

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        if self.args.fsdp:
            fsdp.switch_on(self.accelerator, self.args.fsdp_plugin_args)
            self.is_fsdp_enabled = True

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the adapter; every process must call this. Only the first one writes."""
        weights = fsdp.gathered_weights(self.model) if self.is_fsdp_enabled else None
        if self.args.should_save:
            save_adapter(cast(PeftModel, self.model), self.identity, Path(output_dir or self.folder), weights)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Save a checkpoint into its final folder, and mark it complete after all files are on disk.

        Raises: NotSaved if a file cannot be written.
        """
        folder = self.folder / f"{checkpoints.PREFIX}{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            loss = self.total_loss()
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                checkpoints.mark_complete(folder, {"loss": loss, "seconds": self.progress.seconds})
                checkpoints.prune(self.folder)
        except (OSError, RuntimeError, SafetensorError) as error:
            # An incomplete checkpoint is useless and takes disk space.
            shutil.rmtree(folder, ignore_errors=True)
            raise NotSaved(path=folder, reason=error, kept=self.kept()) from error

    def kept(self) -> str:
        """Return a clause that names the step from which the command resumes, such as "it resumes from step 20"."""
        last = checkpoints.newest(self.folder)
        return f"it resumes from step {checkpoints.step_of(last)}" if last else "it starts from the beginning"

    def total_loss(self) -> float:
        """Return the sum of the losses of all steps, earlier attempts included."""
        return self.loss_before + self._total_loss_scalar + self.accelerator.gather(self._tr_loss).mean().item()


class _SetEpoch(TrainerCallback):
    """Sets the epoch of the sampler. accelerate cannot do this in a resumed process, which wraps the sampler."""

    def __init__(self, order: EvenSampler) -> None:
        self.order = order

    def on_epoch_begin(self, args, state, control, **_):
        self.order.set_epoch(int(state.epoch or 0))
