"""Reads and writes the folder of a cleaning, and determines which of its stages are finished.

clean.json      model, data set and settings; written first, and compared when the cleaning resumes
suspect/        adapter tuned on the whole set
run/            the scan, its detection and the decisions
data/           the cleaned set
cleaned/        adapter tuned on the cleaned set: the result, if poisoning was found
random/         baseline: `data` without a random share, and the `adapter` tuned on it
evaluation/     for the base model and each adapter: NAME.json with the measurements, NAME.jsonl with all answers
report.html, report.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeGuard

from bye_core import runs
from bye_core.detect import DEFAULT
from bye_core.errors import RunError, quoted
from bye_core.files import write_atomic
from bye_core.pipeline.check import ready
from bye_core.pipeline.cleaning import Cleaning
from bye_core.pipeline.detect import covers_all
from bye_core.records import Detection
from bye_core.runs.jobs import option_values
from bye_core.train.settings import MACHINE, FinetuneSettings, finished

RECORD = "clean.json"
# The title of each model in a report.
MODELS = {
    "base": "base model",
    "suspect": "tuned on everything (no defence)",
    "random": "tuned on all but a random 20%",
    "cleaned": "tuned on the remaining samples",
}
# The folders of the fine-tuned models, below the cleaning's.
ADAPTERS = {"suspect": "suspect", "random": "random/adapter", "cleaned": "cleaned"}


class CleaningMismatch(RunError):
    problem = "The folder {out} holds a different cleaning: {differences}."
    remedy = "Give another folder as --out, or use the model, data set and settings of the cleaning in this folder."


class DamagedCleaning(RunError):
    problem = "{path} cannot be read: {reason}."
    remedy = "Start the cleaning again in another folder."


@dataclass(frozen=True)
class CleaningFolder:
    """The paths of a cleaning's results in `out`; the run may be elsewhere."""

    out: Path
    run: Path

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def random_data(self) -> Path:
        return self.out / "random" / "data"

    @property
    def report(self) -> Path:
        return self.out / "report.html"

    def tuned(self, model: str) -> Path:
        """Return the folder of the adapter named `model` (a key of ADAPTERS)."""
        return self.out / ADAPTERS[model]

    def adapter(self, model: str) -> Path | None:
        """Return the folder of the adapter named `model` (a key of MODELS), None for the base model."""
        return self.tuned(model) if model in ADAPTERS else None

    def answers(self, model: str) -> Path:
        return self.out / "evaluation" / f"{model}.jsonl"

    def evaluation(self, model: str) -> Path:
        return self.out / "evaluation" / f"{model}.json"


@dataclass(frozen=True)
class CleaningOutline:
    """The part of a cleaning that says which stages it has and where their results are."""

    folder: CleaningFolder
    method: str
    measured: bool
    baselines: tuple[str, ...]
    until: str = "report"

    @classmethod
    def of(cls, cleaning: Cleaning, out: Path) -> CleaningOutline:
        folder = CleaningFolder(out, cleaning.run or out / "run")
        return cls(folder, cleaning.method, bool(cleaning.test), cleaning.baselines, cleaning.until)

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> CleaningOutline:
        """Return the outline of a job, read from its command-line arguments (made by `Cleaning.arguments`).

        Raises: DamagedCleaning if clean.json in the job's folder cannot be read.
        """

        def first(flag: str) -> str:
            return next(iter(option_values(arguments, flag)), "")

        out, run = Path(first("--out")), first("--run")
        method = first("--method") or (read_record(out) or {}).get("method", DEFAULT)
        folder = CleaningFolder(out, Path(run) if run else out / "run")
        until = first("--until") or "report"
        return cls(folder, method, bool(first("--test")), option_values(arguments, "--baseline"), until)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that this cleaning measures, as keys of MODELS."""
        return tuple(name for name in MODELS if name != "random" or "random" in self.baselines)

    def stages(self) -> tuple[str, ...]:
        """Return the stages in order, as named in `Progress.stage`, assuming that poisoning is found."""
        if self.until == "detect":
            return ("finetune suspect", "scan", "detect")
        evaluations = [f"evaluate {name}" for name in self.models] if self.measured else []
        random = ["finetune random"] if "random" in self.baselines else []
        return ("finetune suspect", "scan", "detect", "export", "finetune cleaned", *random, *evaluations, "report")

    def finished(self) -> frozenset[str]:
        """Return the stages that are finished, judged by the files on disk. Loads no model and no data set."""
        folder, stages = self.folder, set()
        stages |= {f"finetune {name}" for name in MODELS if (path := folder.adapter(name)) and finished(path)}
        stages |= {f"evaluate {name}" for name in MODELS if folder.evaluation(name).is_file()}
        if runs.is_run(folder.run):
            run = runs.Run.open(folder.run)
            counts, detection = run.counts(), run.detection()
            stages |= {"scan"} if counts.scored + counts.failed >= counts.total else set()
            stages |= {"detect"} if is_current(detection, run, self.method) else set()
        stages |= {"export"} if (folder.data / "manifest.json").is_file() else set()
        stages |= {"report"} if folder.report.is_file() else set()
        return frozenset(stages)


def is_current(detection: Detection | None, run: runs.Run, method: str) -> TypeGuard[Detection]:
    """Return whether `detection` was made with `method` on all scanned samples."""
    return detection is not None and detection.method == method and covers_all(detection, run)


def start_or_resume(cleaning: Cleaning, out: Path) -> dict[str, Any]:
    """Return the record of the cleaning in the existing folder `out`; write it if the cleaning is new.

    Raises: CleaningMismatch if the folder holds another cleaning; DamagedCleaning if its record cannot be read;
    NoSampleReady if the data set has no usable sample; a ModelError if the model's folder is not usable.
    """
    from bye_core.models.files import combined, digests, local_folder

    now = {
        "model_digest": combined(digests(local_folder(cleaning.model))),
        "data_digest": ready(cleaning.data, cleaning.reading).digest,
        "method": cleaning.method,
        "format": cleaning.reading.format,
        "columns": dict(cleaning.reading.columns),
        "settings": asdict(cleaning.settings),
        **cleaning.reading.record(),
    }
    record = read_record(out)
    if record is None:
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        named = {"model": cleaning.model, "data": str(cleaning.data), "created": created, "versions": runs.versions()}
        record = {**named, **now}
        write_atomic(out / RECORD, (json.dumps(record, indent=1) + "\n").encode("ascii"))
    if differences := list(_differences(record, now)):
        raise CleaningMismatch(out=out, differences="; ".join(differences))
    return record


def read_record(out: Path) -> dict[str, Any] | None:
    """Return the record of the cleaning in `out`, None if there is none.

    Raises: DamagedCleaning if the record cannot be read.
    """
    try:
        record = json.loads((out / RECORD).read_bytes())
        return {**record, "settings": dict(record["settings"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCleaning(path=out / RECORD, reason=error) from error


def _differences(record: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between `now` and `record`, in words. Ignores settings of the machine."""
    usual = asdict(FinetuneSettings())
    pairs = {name: (record.get(name), value) for name, value in now.items() if name != "settings"}
    pairs |= {
        name: (record["settings"].get(name, usual[name]), value)
        for name, value in now["settings"].items()
        if name not in MACHINE
    }
    return [
        f"{name.replace('_', ' ')} {quoted(then)}, now {quoted(value)}"
        for name, (then, value) in pairs.items()
        if then != value
    ]
