"""Opens a model in this process or in workers, behind one interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bye_core.model_protocol import ALL_GPUS, VisionLanguageModel
from bye_core.workers.errors import ModelOnAllGpus
from bye_core.workers.settings import ONE_PROCESS, WorkerSettings
from bye_core.workers.source import ModelFacts, ModelSource
from bye_core.workers.task import Task

Work = TypeVar("Work", bound=Task)


class Runner(Protocol):
    """A model that runs tasks; `loaded` is None if workers hold it."""

    @property
    def facts(self) -> ModelFacts: ...

    @property
    def loaded(self) -> VisionLanguageModel | None: ...

    @property
    def width(self) -> int:
        """The number of tasks that run at the same time."""

    def map(self, tasks: Iterable[Work]) -> Iterator[tuple[Work, Any]]:
        """Yield each task with its result, in the order of the tasks."""


@dataclass(frozen=True)
class InProcess:
    """Runs tasks in this process."""

    loaded: VisionLanguageModel
    width: int = 1

    @property
    def facts(self) -> ModelFacts:
        return ModelFacts.of(self.loaded)

    def map(self, tasks: Iterable[Work]) -> Iterator[tuple[Work, Any]]:
        for task in tasks:
            yield task, task.run(self.loaded, task.prepare())


@contextmanager
def open_model(source: ModelSource, settings: WorkerSettings = ONE_PROCESS) -> Iterator[Runner]:
    """Load the model here, or start workers that load it; the workers end with the context.

    Raises: the errors of `load_model`; ModelOnAllGpus if several workers would share the GPUs; NoRay if Ray is missing;
    the errors of bye_core.workers.errors.
    """
    if not settings:
        yield InProcess(source.load())
        return
    if source.device == ALL_GPUS:
        raise ModelOnAllGpus()
    from bye_core.workers.pool import WorkerPool
    from bye_core.workers.ray_engine import ray_engine

    with ray_engine(source.for_workers(), settings) as engine:
        yield WorkerPool(engine, settings.seconds)
