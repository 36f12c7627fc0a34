"""The interface of the work that a worker does for one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bye_core.errors import ByeError
from bye_core.model_protocol import VisionLanguageModel


class Task(Protocol):
    """One batch for a model. Tasks and their results must be picklable.

    A worker prepares a task while the model is busy with another one, then runs it. If the task ends several workers,
    each of its samples is tried alone.
    """

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the samples."""

    def prepare(self) -> Any:
        """Do the work that needs no model, such as decoding images."""

    def run(self, loaded: VisionLanguageModel, prepared: Any) -> Any:
        """Run the model; `prepared` is what `prepare` returned."""

    def split(self) -> Sequence[Task]:
        """Return one task for each sample."""

    def join(self, results: Sequence[Any]) -> Any:
        """Return the result of this task from those of the tasks that `split` returned."""

    def fail(self, error: ByeError) -> Any:
        """Return the result of a task with one sample that ended with `error`."""
