"""Before and after cleaning: CP and ASR of up to three models, each measured by a job of its own. No gradio."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bye_core import runs
from bye_core.demo.recipe import TARGET, TRIGGER, TRIGGER_SIZE
from bye_core.errors import DataError
from bye_core.files import write_atomic
from bye_core.runs import jobs
from bye_core.train.settings import CARD
from bye_core.ui.shared import data_sets
from bye_core.ui.shared.attack_form import NO_TRIGGER, PAPER_SIZE, TEST, attack_arguments
from bye_core.ui.shared.limits import limits
from bye_core.ui.shared.model_choice import resolve_adapter, resolve_model
from bye_core.ui.shared.training_form import check_allowed
from bye_core.ui.workspace import Workspace

KIND = "evaluate"
RECORD = "evaluation.json"
ARMS = {"base": "base model", "everything": "tuned on everything", "left": "tuned on what is left"}


class NoTestSet(DataError):
    problem = "No test set is chosen."
    remedy = "Name a folder or file with questions and right answers that the model was not trained on."


class SamePair(DataError):
    problem = "Both fields name the same adapter."
    remedy = "Choose the one tuned on everything and the one tuned on what is left, or leave one of them out."


@dataclass(frozen=True)
class Evaluation:
    """What is to be measured. `truth`: a truth file with triggers and target, in place of the three before it;
    `everything` and `left` are adapters, "" for none; `stopped`: begin no more of it."""

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
        """The adapter of each arm that is measured, "" for the base model."""
        given = {"base": "", "everything": self.everything, "left": self.left}
        return {arm: path for arm, path in given.items() if arm == "base" or path}


@dataclass(frozen=True)
class Arm:
    """One model of an evaluation; `job` is None while it waits."""

    name: str
    job: jobs.Job | None
    state: str
    facts: Mapping[str, Any]


def defaults(run: runs.Run | None) -> Evaluation:
    """For the shipped demo its own test set and trigger; else the paper's patch, aimed at what the flagged answer."""
    if run is None:
        return Evaluation()
    if is_demo(run):
        return Evaluation(data=str(TEST), trigger=TRIGGER, size=TRIGGER_SIZE, target=TARGET)
    return Evaluation(trigger=TRIGGER, target=_common_answer(run))


def is_demo(run: runs.Run) -> bool:
    return TEST.is_file() and Path(run.settings.data).is_relative_to(TEST.parent)


def _common_answer(run: runs.Run) -> str:
    detection = run.detection()
    flagged = set(detection.flagged_ids) if detection else set()
    answers = Counter(sample.answer for sample in run.samples() if sample.id in flagged)
    return answers.most_common(1)[0][0] if answers else TARGET


def make(
    place: Workspace, model: str, data: str, trigger: str, size: float, target: str, truth: str, pair: tuple
) -> Evaluation:
    """An evaluation as the form has it. Raises a ByeError for what makes no sense."""
    if not data.strip():
        raise NoTestSet()
    attack_arguments(trigger, size or 0, target, truth)
    everything, left = (path or "" for path in pair)
    if everything and everything == left:
        raise SamePair()
    path = (
        str(TEST)
        if data.strip() == str(TEST)
        else data_sets.path_of(place, data_sets.find(place, data_sets.key_of(data)))
    )
    named = [resolve_adapter(place, adapter) for adapter in (everything, left)]
    return Evaluation(resolve_model(model), path, trigger, size or PAPER_SIZE, target or TARGET, truth, *named)


def arguments(wanted: Evaluation, adapter: str) -> list[str]:
    """Of `python -m bye_core evaluate`."""
    found = ["--model", wanted.model, *(["--adapter", adapter] if adapter else []), "--data", wanted.data]
    return found + attack_arguments(wanted.trigger, wanted.size, wanted.target, wanted.truth)


def begin(place: Workspace, wanted: Evaluation) -> None:
    """Measure all arms, one after the other; what was measured before with the same files is not measured again."""
    check_allowed()
    for arm in arms(place, wanted):
        if arm.job and arm.state not in (jobs.RUNNING, jobs.DONE):
            arm.job.remove()
    _write(place, replace(wanted, stopped=False))
    advance(place)


def advance(place: Workspace) -> bool:
    """Begin the next arm if none is at work; whether any is at work or waits. Raises TooManyJobs, CannotStart."""
    wanted = wanted_of(place)
    if wanted is None:
        return False
    found = arms(place, wanted)
    if any(arm.state == jobs.RUNNING for arm in found):
        return True
    # An arm that failed stands for the others: they have the same model and the same test set.
    if wanted.stopped or any(arm.job and arm.state != jobs.DONE for arm in found):
        return False
    waiting = next((arm for arm in found if arm.job is None), None)
    if waiting is None:
        return False
    adapter = wanted.adapters()[waiting.name]
    folder = place.jobs / _key(wanted, adapter)
    try:
        jobs.start(folder, KIND, arguments(wanted, adapter), title=ARMS[waiting.name], at_most=limits().jobs)
    except jobs.JobExists:
        return True  # another window was quicker
    return True


def stop(place: Workspace) -> None:
    """End the arm at work and begin no other."""
    wanted = wanted_of(place)
    if wanted is None:
        return
    _write(place, replace(wanted, stopped=True))
    for arm in arms(place, wanted):
        if arm.state == jobs.RUNNING:
            arm.job.stop()


def wanted_of(place: Workspace) -> Evaluation | None:
    """The evaluation asked for last."""
    try:
        return Evaluation(**json.loads((place.root / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def arms(place: Workspace, wanted: Evaluation) -> tuple[Arm, ...]:
    return tuple(_arm(place, wanted, name, adapter) for name, adapter in wanted.adapters().items())


def _arm(place: Workspace, wanted: Evaluation, name: str, adapter: str) -> Arm:
    try:
        job = jobs.Job.open(place.jobs / _key(wanted, adapter))
    except jobs.NotAJob:
        return Arm(name, None, "waiting", {})
    state = job.state
    return Arm(name, job, state, (job.result() or {}) if state == jobs.DONE else {})


def _key(wanted: Evaluation, adapter: str) -> str:
    """Names the job by its arguments and by the state of the files that they name."""
    files = (Path(wanted.data), Path(adapter) / CARD if adapter else Path(wanted.model) / "config.json")
    stamps = [_stamp(file) for file in files]
    text = json.dumps([arguments(wanted, adapter), stamps])
    return f"{KIND}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _stamp(file: Path) -> list[int]:
    try:
        found = file.stat()
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size]


def _write(place: Workspace, wanted: Evaluation) -> None:
    place.root.mkdir(parents=True, exist_ok=True)
    write_atomic(place.root / RECORD, json.dumps(asdict(wanted)).encode("ascii"))


def failure(found: tuple[Arm, ...]) -> jobs.Failure | None:
    """Why an arm failed."""
    return next((error for arm in found if arm.job and (error := arm.job.error())), None)
