"""Describes a cleaning: its model, its data set, its settings, and how the resulting models are measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bye_core.attacks import Attack
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.detect import DEFAULT
from bye_core.errors import SettingError
from bye_core.evaluate.measures import check_metric
from bye_core.pipeline.poison import attack_arguments
from bye_core.train.settings import FinetuneSettings, settings_arguments
from bye_core.workers.settings import ONE_PROCESS, WorkerSettings, worker_arguments

BASELINES = ("none", "random")
UNTIL = ("report", "detect")  # the last stage of a cleaning


class NoSuchBaseline(SettingError):
    problem = "There is no baseline called {name!r}."
    remedy = "Choose one of: {choices}."


class AttackWithoutTest(SettingError):
    problem = "A trigger is given, but there is no test set to plant it in."
    remedy = "Give a data set with questions and correct answers as --test, or leave the trigger out."


@dataclass(frozen=True)
class Cleaning:
    """The settings of one cleaning.

    Only `test`, `attack`, `baselines`, `until` and `workers` may change when a cleaning resumes.

    test        data set with reference answers on which every model is measured; None measures nothing
    attack      trigger and target for the attack success rate, None if they are unknown
    attack_seed seed of the trigger's placement
    attack_file truth file that `attack` was read from, None if the triggers were given as options
    baselines   further models to compare with: "random". The baseline "none" (tuned on all samples) always exists
    seed        seed of the random baseline's selection
    run         folder of the scan, None for the folder `run` of the cleaning
    until       last stage: "report", or "detect", which rejects no sample and exports nothing
    workers     where the model is scanned and measured
    """

    model: str
    data: str
    settings: FinetuneSettings = field(default_factory=FinetuneSettings)
    method: str = DEFAULT
    reading: ReadingOptions = AUTOMATIC
    test: str | None = None
    attack: Attack | None = None
    attack_seed: int = 0
    metric: str = "auto"
    baselines: tuple[str, ...] = ()
    seed: int = 0
    run: Path | None = None
    attack_file: Path | None = None
    until: str = "report"
    workers: WorkerSettings = ONE_PROCESS

    def __post_init__(self) -> None:
        for name in self.baselines:
            if name not in BASELINES:
                raise NoSuchBaseline(name=name, choices=", ".join(BASELINES))
        check_metric(self.metric)
        if self.attack and not self.test:
            raise AttackWithoutTest()

    def arguments(self, out: Path) -> list[str]:
        """Return the arguments of `python -m bye_core clean` that run this cleaning in `out`, without default values.

        To start a cleaning as a job, build a Cleaning (which validates the settings) and pass the job these arguments.
        To show that job later, read `CleaningOutline.from_arguments(job.arguments)`.

        Raises: ValueError if `seed` or `attack_seed` differs from the fine-tuning's seed, because the command has one
        --seed for all three. (With `attack_file`, the attack's seed is read from that file.)
        """
        own_seeds = (self.seed, *(() if self.attack_file or not self.attack else (self.attack_seed,)))
        if any(seed != self.settings.seed for seed in own_seeds):
            raise ValueError(f"the command line has one seed, the cleaning has {(self.settings.seed, *own_seeds)}")
        arguments = ["--model", self.model, "--data", str(self.data), *self.reading.arguments()]
        arguments += ["--out", str(out), *(["--run", str(self.run)] if self.run else [])]
        arguments += ["--method", self.method] if self.method != DEFAULT else []
        arguments += settings_arguments(self.settings)
        arguments += ["--test", str(self.test)] if self.test else []
        if self.attack:
            arguments += ["--attack", str(self.attack_file)] if self.attack_file else attack_arguments(self.attack)
        arguments += ["--metric", self.metric] if self.metric != "auto" else []
        arguments += ["--until", self.until] if self.until != "report" else []
        arguments += worker_arguments(self.workers)
        return arguments + (["--baseline", *self.baselines] if self.baselines else [])
