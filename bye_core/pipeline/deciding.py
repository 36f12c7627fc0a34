"""From a run to a verdict and a person's decisions on it; no model is needed any more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bye_core import detect, runs
from bye_core.errors import DataError, RunError
from bye_core.records import Decision, Detection


class NothingDetected(RunError):
    problem = "The run {path} holds no detection yet."
    remedy = "Run `python -m bye_core detect --run {path}` first."


class UnreadableTruth(DataError):
    problem = "{path} is no truth file: {reason}."
    remedy = 'Give the truth.json that `poison` wrote: {{"poisoned": [ids], ...}}.'


def detect_run(run_path: Path, method: str = detect.DEFAULT, **settings: Any) -> Detection:
    """Detect on a run's statistics and keep the result in the run. Settings are the method's own."""
    run = runs.Run.open(run_path)
    detection = detect.detect(run.table(), method, **settings)
    run.save_detection(detection)
    return detection


def detect_once(run_path: Path) -> Detection:
    """The run's detection on all that is scanned; where there is none, one in the way of the last, else the default."""
    run = runs.Run.open(run_path)
    found = run.detection()
    if found is None:
        return detect_run(run_path)
    return found if covers_all(found, run) else detect_run(run_path, found.method, **found.settings)


def covers_all(detection: Detection, run: runs.Run) -> bool:
    return set(detection.ids) == set(run.scored_ids())


def detect_entropies(path: Path, method: str = "bye", **settings: Any) -> Detection:
    """Detect on a BYE entropy JSONL: scores of another program, no run and no model needed."""
    return detect.detect(detect.read_entropies(path), method, **settings)


def last_detection(run: runs.Run) -> Detection:
    """Raises NothingDetected."""
    detection = run.detection()
    if detection is None:
        raise NothingDetected(path=run.path)
    return detection


def decide(
    run_path: Path,
    choices: Mapping[str, str] | None = None,
    reject_flagged: bool = False,
    reviewer: str = "",
    note: str = "",
) -> int:
    """Record decisions: those in `choices` (id -> accept, reject, none), and "reject" for every flagged sample that no
    one has decided by hand. Returns how many were recorded."""
    run = runs.Run.open(run_path)
    decided = run.decisions()
    wanted = dict(choices or {})
    if reject_flagged:
        flagged = last_detection(run).flagged_ids
        wanted = {**{id: "reject" for id in flagged if id not in decided}, **wanted}
    batch = [Decision(id=id, choice=choice, reviewer=reviewer, note=note) for id, choice in wanted.items()]
    if batch:
        run.decide(batch)
    return len(batch)


def undo(run_path: Path) -> int:
    """Withdraw the last batch of decisions; returns how many it held."""
    withdrawn = runs.Run.open(run_path).undo()
    return len(withdrawn.decisions) if withdrawn else 0


def read_truth(path: Path) -> frozenset[str]:
    """The poisoned ids of a truth file. Raises UnreadableTruth."""
    try:
        poisoned = json.loads(path.read_text(encoding="utf-8"))["poisoned"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableTruth(path=path, reason=error) from error
    if not isinstance(poisoned, list):
        raise UnreadableTruth(path=path, reason="`poisoned` is not a list")
    return frozenset(map(str, poisoned))


def score_run(run_path: Path, truth: Path) -> dict[str, Any]:
    """Precision, recall, F1, AUC of the run's last detection against a truth file."""
    return detect.score(last_detection(runs.Run.open(run_path)), read_truth(truth))
