"""How many workers run a model, where, and how long a batch may take."""

from __future__ import annotations

from dataclasses import dataclass

from bye_core.errors import SettingError

# A batch of 32 samples takes seconds on a GPU, and minutes on a slow CPU with a large model (ours).
BATCH_SECONDS = 900.0


class BadWorkerSetting(SettingError):
    problem = "{name} = {value!r} is not valid for workers."
    remedy = "{advice}"


@dataclass(frozen=True)
class WorkerSettings:
    """Where a model runs over many samples. The defaults run it in this process.

    workers  processes that hold the model. 0: this process, or with `ray` one for each GPU of the cluster (without
             GPUs, one for each machine)
    ray      address of a running Ray cluster, "auto" for the one of this machine; "" starts Ray on this machine
    seconds  a worker that has not finished a batch after this time counts as stuck, and is replaced
    """

    workers: int = 0
    ray: str = ""
    seconds: float = BATCH_SECONDS

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise BadWorkerSetting(name="workers", value=self.workers, advice="Give the number of workers, or 0.")
        if not self.seconds > 0:
            raise BadWorkerSetting(name="seconds", value=self.seconds, advice="Give a number above 0.")

    def __bool__(self) -> bool:
        return bool(self.workers or self.ray)


ONE_PROCESS = WorkerSettings()


def worker_arguments(settings: WorkerSettings) -> list[str]:
    """Return the options of the command line for these settings, without default values."""
    arguments = ["--workers", str(settings.workers)] if settings.workers else []
    arguments += ["--ray", settings.ray] if settings.ray else []
    return arguments + (["--worker-seconds", f"{settings.seconds:g}"] if settings.seconds != BATCH_SECONDS else [])
