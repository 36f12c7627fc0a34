"""Measures up to three models: base, tuned on everything, tuned on the remaining samples. Each runs as a job."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.demo import recipe
from bye_core.errors import DataError
from bye_core.files import write_atomic
from bye_core.runs import jobs
from bye_core.train.settings import CARD
from bye_core.ui.shared import workspace_jobs
from bye_core.ui.shared.attack_form import NO_TRIGGER, PAPER_SIZE, TARGET, TEST, read_attack_form, resolve_test_set
from bye_core.ui.shared.model_choice import resolve_adapter, resolve_model
from bye_core.ui.shared.training_form import check_allowed
from bye_core.ui.workspace import Workspace

KIND = "evaluate"
RECORD = "evaluation.json"
ARMS = {
    "base": "base model",
    "everything": "tuned on everything",
    "left": "tuned on the remaining samples",
}


class NoTestSet(DataError):
    problem = "No test set is chosen."
    remedy = "Enter a folder or file with questions and reference answers on which the model was not trained."


class SamePair(DataError):
    problem = "Both fields hold the same adapter."
    remedy = "Choose an adapter tuned on everything and one tuned on the remaining samples, or leave a field empty."


@dataclass(frozen=True)
class Evaluation:
    """What to measure. It is stored as evaluation.json in the workspace.

    truth             a truth file that replaces trigger, size and target
    everything        the adapter tuned on all samples, "" for none
    left              the adapter tuned on the remaining samples, "" for none
    stopped           whether the user stopped the evaluation, so that no further measurement starts
    """

    model: str = ""
    data: str = ""
    trigger: str = NO_TRIGGER
    size: float = PAPER_SIZE
    target: str = TARGET
    truth: str = ""
    everything: str = ""
    left: str = ""
    stopped: bool = False

    def adapters(self) -> dict[str, str]:
        """Return {arm name: adapter path} of the models to measure. The path of the base model is ""."""
        adapters = {"base": "", "everything": self.everything, "left": self.left}
        return {arm: path for arm, path in adapters.items() if arm == "base" or path}


@dataclass(frozen=True)
class Arm:
    """One model of an evaluation. `job` is None before its measurement starts; `facts` are the results of the job."""

    name: str
    job: jobs.Job | None
    state: str
    facts: Mapping[str, Any]


def defaults(run: runs.Run | None) -> Evaluation:
    """Return the evaluation with which the form starts.

    For the demo run: the demo's test set, trigger and target. For another run: the paper's patch as trigger, and the
    most common answer of the flagged samples as target. Without a run: an empty evaluation.
    """
    if run is None:
        return Evaluation()
    if is_demo(run):
        return Evaluation("", str(TEST), recipe.TRIGGER, recipe.TRIGGER_SIZE, recipe.TARGET)
    return Evaluation(trigger=recipe.TRIGGER, target=_flagged_answer(run))


def is_demo(run: runs.Run) -> bool:
    return TEST.is_file() and Path(run.settings.data).is_relative_to(TEST.parent)


def _flagged_answer(run: runs.Run) -> str:
    """Return the most common answer of the flagged samples."""
    detection = run.detection()
    flagged = set(detection.flagged_ids) if detection else set()
    answers = Counter(sample.answer for sample in run.samples() if sample.id in flagged)
    return answers.most_common(1)[0][0] if answers else TARGET


def from_form(workspace: Workspace, model: str, values: tuple[Any, ...]) -> Evaluation:
    """Return the evaluation that the fields describe.

    `values`: data, trigger, size, target, truth file, adapter tuned on everything, adapter tuned on the remaining
    samples. Raises: ByeError if a field is not valid or names a missing file.
    """
    size: float | None = values[2]
    data, trigger, target, truth, everything, left = (str(value or "") for value in (*values[:2], *values[3:]))
    if not data.strip():
        raise NoTestSet()
    read_attack_form(trigger, size or 0, target, truth)
    if everything and everything == left:
        raise SamePair()
    everything, left = (resolve_adapter(workspace, adapter) for adapter in (everything, left))
    test = resolve_test_set(workspace, data)
    return Evaluation(
        resolve_model(model), test, trigger, size or PAPER_SIZE, target or TARGET, truth, everything, left
    )


def arguments(evaluation: Evaluation, adapter: str) -> list[str]:
    """Return the arguments of `python -m bye_core evaluate` for one arm."""
    known = read_attack_form(evaluation.trigger, evaluation.size, evaluation.target, evaluation.truth)
    options = ["--model", evaluation.model, *(["--adapter", adapter] if adapter else []), "--data", evaluation.data]
    return [*options, *(known.arguments() if known else [])]


def start(workspace: Workspace, evaluation: Evaluation) -> None:
    """Start to measure all arms, one after the other. Results are reused if their files are unchanged."""
    check_allowed()
    for arm in arms(workspace, evaluation):
        if arm.job and arm.state not in (jobs.RUNNING, jobs.DONE):
            arm.job.remove()
    _write(workspace, replace(evaluation, stopped=False))
    advance(workspace)


def advance(workspace: Workspace) -> bool:
    """Start the next arm unless one is running. Return whether any arm runs or waits.

    Raises: TooManyJobs if the most jobs allowed are running; CannotStart if the process cannot be started.
    """
    evaluation = latest(workspace)
    if evaluation is None:
        return False
    models = arms(workspace, evaluation)
    if any(arm.state == jobs.RUNNING for arm in models):
        return True
    # If one arm fails, the others would fail too: they use the same base model and test set.
    if evaluation.stopped or any(arm.job and arm.state != jobs.DONE for arm in models):
        return False
    waiting = next((arm for arm in models if arm.job is None), None)
    if waiting is None:
        return False
    adapter = evaluation.adapters()[waiting.name]
    name, options = _job_id(evaluation, adapter), arguments(evaluation, adapter)
    # Another browser window may have started this job.
    with suppress(jobs.JobExists):
        workspace_jobs.start_job(workspace, name, KIND, options, title=ARMS[waiting.name])
    return True


def stop(workspace: Workspace) -> None:
    """Stop the running measurement, and start no other one."""
    evaluation = latest(workspace)
    if evaluation is None:
        return
    _write(workspace, replace(evaluation, stopped=True))
    for arm in arms(workspace, evaluation):
        if arm.job and arm.state == jobs.RUNNING:
            arm.job.stop()


def latest(workspace: Workspace) -> Evaluation | None:
    """Return the evaluation that was started last, None if there is none."""
    try:
        return Evaluation(**json.loads((workspace.root / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def arms(workspace: Workspace, evaluation: Evaluation) -> tuple[Arm, ...]:
    """Return the models of an evaluation with their jobs and results."""
    return tuple(_arm(workspace, evaluation, name, adapter) for name, adapter in evaluation.adapters().items())


def _arm(workspace: Workspace, evaluation: Evaluation, name: str, adapter: str) -> Arm:
    try:
        job = jobs.Job.open(workspace.jobs / _job_id(evaluation, adapter))
    except jobs.NotAJob:
        return Arm(name, None, "waiting", {})
    state = job.state
    return Arm(name, job, state, (job.result() or {}) if state == jobs.DONE else {})


def _job_id(evaluation: Evaluation, adapter: str) -> str:
    """Return the job's name: a hash of its arguments and of the times and sizes of the files that they name."""
    files = (Path(evaluation.data), Path(adapter) / CARD if adapter else Path(evaluation.model) / "config.json")
    text = json.dumps([arguments(evaluation, adapter), [_stamp(file) for file in files]])
    return f"{KIND}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _stamp(file: Path) -> list[int]:
    try:
        status = file.stat()
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size]


def _write(workspace: Workspace, evaluation: Evaluation) -> None:
    workspace.root.mkdir(parents=True, exist_ok=True)
    write_atomic(workspace.root / RECORD, json.dumps(asdict(evaluation)).encode("ascii"))


def failure(arms: tuple[Arm, ...]) -> jobs.Failure | None:
    """Return why an arm failed, None if none did."""
    return next((error for arm in arms if arm.job and (error := arm.job.error())), None)
