"""What a cleaning was asked to do, where its parts lie, and how far it is; the work itself is in `whole`.

clean.json      what is cleaned with what; written first, and compared when the cleaning goes on
suspect/        adapter tuned on everything
run/            the scan, its detection, and the decisions
data/           the cleaned set
cleaned/        adapter tuned on what is left: the result, where poisoning was found
random/         baseline: `data` without a random share, and an `adapter` tuned on it
evaluation/     NAME.json, and NAME.jsonl with every answer, of the base model and of each adapter
report.html, report.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.attacks import Attack
from bye_core.detect import DEFAULT
from bye_core.errors import RunError, SettingError
from bye_core.evaluate.measures import check_metric
from bye_core.files import write_atomic
from bye_core.pipeline.check import ready
from bye_core.pipeline.detect import covers_all
from bye_core.records import Detection
from bye_core.train.settings import MACHINE, FinetuneSettings, finished

RECORD = "clean.json"
BASELINES = ("none", "random")
RANDOM_SHARE = 0.2  # the paper's comparison: a random drop of 20%
# What a model is called in a report, by the name that its figures go under.
MODELS = {
    "base": "base model",
    "suspect": "tuned on everything (no defence)",
    "random": "tuned on all but a random 20%",
    "cleaned": "tuned on what is left",
}


class CleaningMismatch(RunError):
    problem = "The folder {out} holds a cleaning of something else: {differences}."
    remedy = "Name another folder with --out, or go on with the model, the data set and the settings it was begun with."


class DamagedCleaning(RunError):
    problem = "{path} cannot be read: {reason}."
    remedy = "Begin the cleaning anew in another folder."


class StaleAdapter(RunError):
    problem = "The adapter {adapter} was tuned on another selection than the one that stands now."
    remedy = "Delete that folder to tune again on what is left now, or take the decisions back."


class NoSuchBaseline(SettingError):
    problem = "There is no baseline called {name!r}."
    remedy = "Choose from: {choices}."


class AttackWithoutTest(SettingError):
    problem = "A trigger is named, but no test set to plant it in."
    remedy = "Name a set with questions and right answers with --test, or leave the trigger out."


@dataclass(frozen=True)
class Cleaning:
    """`test`, `attack` and `baselines` may change when a cleaning goes on; all else belongs to it.

    test       a set with right answers: what every model is measured on; without it nothing is measured
    attack     for the attack success rate, where trigger and target are known; attack_seed: of its placing
    baselines  further models for comparison: "random"; "none" is the one tuned on everything and always there
    seed       of the random baseline's choice
    run        where the scan goes, None for the folder `run`
    """

    model: str
    data: str
    settings: FinetuneSettings = field(default_factory=FinetuneSettings)
    method: str = DEFAULT
    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    test: str | None = None
    attack: Attack | None = None
    attack_seed: int = 0
    metric: str = "auto"
    baselines: tuple[str, ...] = ()
    seed: int = 0
    run: Path | None = None

    def __post_init__(self) -> None:
        for name in self.baselines:
            if name not in BASELINES:
                raise NoSuchBaseline(name=name, choices=", ".join(BASELINES))
        check_metric(self.metric)
        if self.attack and not self.test:
            raise AttackWithoutTest()


@dataclass(frozen=True)
class Places:
    """The parts of a cleaning's folder, and its run, which may lie elsewhere."""

    out: Path
    run: Path
    data: Path
    random_data: Path
    report: Path

    @classmethod
    def of(cls, wanted: Cleaning, out: Path) -> Places:
        return cls(out, wanted.run or out / "run", out / "data", out / "random" / "data", out / "report.html")

    def adapter(self, model: str) -> Path | None:
        """Of one of MODELS; None of the base model, which has none."""
        folders = {"suspect": "suspect", "random": "random/adapter", "cleaned": "cleaned"}
        return self.out / folders[model] if model in folders else None

    def answers(self, model: str) -> Path:
        return self.out / "evaluation" / f"{model}.jsonl"

    def evaluation(self, model: str) -> Path:
        return self.out / "evaluation" / f"{model}.json"


def begin(wanted: Cleaning, out: Path) -> dict[str, Any]:
    """Write down in `out`, which exists, what is cleaned, or check that an earlier call cleaned the same; returns it.

    Raises CleaningMismatch, DamagedCleaning, NoSampleReady, and what is wrong with the model's folder.
    """
    from bye_core.models.files import combined, digests, local_folder

    now = {
        "model_digest": combined(digests(local_folder(wanted.model))),
        "data_digest": ready(wanted.data, wanted.format, wanted.columns).digest,
        "method": wanted.method,
        "format": wanted.format,
        "columns": dict(wanted.columns),
        "settings": asdict(wanted.settings),
    }
    record = read(out)
    if record is None:
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        named = {"model": wanted.model, "data": str(wanted.data), "created": created, "versions": runs.versions()}
        record = {**named, **now}
        write_atomic(out / RECORD, (json.dumps(record, indent=1) + "\n").encode("ascii"))
    if differences := list(_differences(record, now)):
        raise CleaningMismatch(out=out, differences="; ".join(differences))
    return record


def read(out: Path) -> dict[str, Any] | None:
    """The record of the cleaning in `out`, None where there is none. Raises DamagedCleaning."""
    try:
        record = json.loads((out / RECORD).read_bytes())
        return {**record, "settings": dict(record["settings"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCleaning(path=out / RECORD, reason=error) from error


def _differences(record: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Where it runs may change; on another machine the digits do, but not what is done."""
    usual = asdict(FinetuneSettings())
    pairs = {name: (record.get(name), value) for name, value in now.items() if name != "settings"}
    pairs |= {
        name: (record["settings"].get(name, usual[name]), value)
        for name, value in now["settings"].items()
        if name not in MACHINE
    }
    return [
        f"{name.replace('_', ' ')} {then!r}, now {value!r}" for name, (then, value) in pairs.items() if then != value
    ]


def stages(wanted: Cleaning) -> tuple[str, ...]:
    """The stages in their order, as `Progress.stage` names them, where poisoning is found."""
    models = [f"evaluate {name}" for name in models_of(wanted)] if wanted.test else []
    random = ["finetune random"] if "random" in wanted.baselines else []
    return ("finetune suspect", "scan", "detect", "export", "finetune cleaned", *random, *models, "report")


def models_of(wanted: Cleaning) -> tuple[str, ...]:
    return tuple(name for name in MODELS if name != "random" or "random" in wanted.baselines)


def covers(detection: Detection | None, run: runs.Run, method: str) -> bool:
    """Whether `detection` is one by `method` on all that is scanned."""
    return detection is not None and detection.method == method and covers_all(detection, run)


def done(wanted: Cleaning, out: Path) -> frozenset[str]:
    """Which of `stages` are finished: a look at the files, no model and no data set."""
    place, found = Places.of(wanted, out), set()
    found |= {f"finetune {name}" for name in MODELS if (path := place.adapter(name)) and finished(path)}
    found |= {f"evaluate {name}" for name in MODELS if place.evaluation(name).is_file()}
    if runs.is_run(place.run):
        run = runs.Run.open(place.run)
        counts, detection = run.counts(), run.detection()
        found |= {"scan"} if counts.scored + counts.failed >= counts.total else set()
        found |= {"detect"} if covers(detection, run, wanted.method) else set()
    found |= {"export"} if (place.data / "manifest.json").is_file() else set()
    found |= {"report"} if place.report.is_file() else set()
    return frozenset(found)
