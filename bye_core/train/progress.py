"""Writes the progress of a training, one JSON object a line.

{"event": "preflight" | "begin" | "step" | "done", "step", "steps", "seconds", ...}
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from bye_core.train.errors import NotSaved

PROGRESS = "progress.jsonl"


class ProgressLog(TrainerCallback):
    """Appends events to `path` and flushes them. Only the first process writes; in the others `path` is None.

    `seconds` is the time that earlier attempts took. A resumed training first writes the losses of earlier attempts, so
    that the file holds the complete curve.
    """

    def __init__(self, path: Path | None, seconds: float = 0.0) -> None:
        self.path = path
        self.start = time.monotonic() - seconds

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.start, 2)

    def write(self, **event: Any) -> None:
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**event, "seconds": event.get("seconds", self.seconds)}) + "\n")
        except OSError as error:
            raise NotSaved(path=self.path, reason=error.strerror, kept="it resumes from the last checkpoint") from error

    def on_train_begin(self, args, state, control, **_):
        self.write(event="begin", step=state.global_step, steps=state.max_steps)
        for logs in state.log_history:
            self._write_step(logs, state.max_steps)

    def on_log(self, args, state, control, logs=None, **_):
        if logs and "loss" in logs:
            state.log_history[-1]["seconds"] = self.seconds
            self._write_step(state.log_history[-1], state.max_steps)

    def _write_step(self, logs: dict[str, Any], steps: int) -> None:
        if "loss" in logs:
            loss, rate = float(logs["loss"]), float(logs["learning_rate"])
            self.write(event="step", step=logs["step"], steps=steps, loss=loss, rate=rate, seconds=logs["seconds"])
