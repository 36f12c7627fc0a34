"""The worker: holds a model in a process of its own, and runs the tasks that it receives."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock
from typing import Any

from bye_core.errors import ByeError, printable
from bye_core.model_protocol import VisionLanguageModel
from bye_core.workers.source import ModelFacts, ModelSource
from bye_core.workers.task import Task

# Tasks that a worker has at a time: it prepares one while the model runs the other.
TASKS_AT_A_TIME = 2


@dataclass(frozen=True)
class Failure:
    """An exception that a worker caught. `error` is set if it concerns the model itself, and so every batch."""

    reason: str
    error: ByeError | None = None


class Worker:
    """The class of the actors. Its methods return a Failure instead of raising, so that every error can travel."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._loaded: VisionLanguageModel | None = None
        self._model = Lock()

    def load(self) -> ModelFacts | Failure:
        """Load the model."""
        logging.disable(logging.WARNING)  # the same warnings from every worker tell nothing more
        try:
            self._loaded = self._source.load()
            return ModelFacts.of(self._loaded)
        except ByeError as error:
            return Failure(str(error), error)
        except Exception as error:  # noqa: BLE001 - the driver reports it
            return Failure(f"{type(error).__name__}: {printable(error)}")

    def run(self, task: Task) -> Any:
        """Prepare and run a task; return its result."""
        try:
            prepared = task.prepare()
            with self._model:
                assert self._loaded is not None
                return task.run(self._loaded, prepared)
        except ByeError as error:
            return Failure(str(error), error)
        except Exception as error:  # noqa: BLE001 - its samples are tried one by one
            return Failure(f"{type(error).__name__}: {printable(error)}")
