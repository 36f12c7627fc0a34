"""Runs the tour of the shipped demo, `python -m bye_core demo`: every stage, with real models, data and results."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core import pipeline, runs
from bye_core.demo.recipe import ATTACK, SHORT, SHORT_QUESTIONS
from bye_core.errors import RunError
from bye_core.files import ASSETS
from bye_core.records import Progress
from bye_core.text import count
from bye_core.train.settings import finished

DEMO = ASSETS / "demo"
NOTE = "demo"  # stage of the steps whose message describes the last result and the next part
PARTS = 3
MODELS = {"base": "base", "poisoned": "tuned on all samples", "cleaned": "tuned on the rest"}
SCORES = {"precision": "precision", "recall": "recall", "F1": "f1", "AUC": "auc"}
# Time per sample relative to scanning it, measured on CPUs: for training on it, and for answering one question.
TRAINING_COST, ANSWER_COST = 1.9, 0.8
START_SECONDS = 10.0  # seconds to start the training process, or to load the models to evaluate


class NoDemo(RunError):
    problem = "The shipped demo is incomplete: {path} holds no model."
    remedy = "Install the package again, or run the command in a checkout of the repository."


def tour(out: Path | None = None, assets: Path = DEMO) -> Iterator[Progress]:
    """Scan, detect, score, export, fine-tune on the remaining samples and evaluate three models.

    The messages of steps with stage NOTE describe the last result and the next part. The facts of the last step hold
    all figures. A stopped tour resumes if `out` is the same folder (default: a new folder in BYE_HOME).
    Raises: NoDemo if the demo is missing.
    """
    model, data = assets / "model", assets / "data"
    if not (model / "config.json").is_file():
        raise NoDemo(path=assets)
    out = out or runs.new_run_path("demo")
    suspect, cleaned = assets / "adapters" / "poisoned", out / "adapter"
    yield _note(0, "Scan: record the attention of a poisoned model on each of its training samples.")
    pace = yield from _timed(pipeline.scan(str(model), data / "poisoned.json", out / "run", suspect))
    facts = _detect_and_export(out, data / pipeline.TRUTH)
    training = facts["kept"] * SHORT.epochs * TRAINING_COST * pace
    kept = count(facts["kept"], "remaining sample")
    yield _note(1, f"Fine-tune: train the base model on the {kept}{_about(training)}.", facts)
    if not finished(cleaned):
        yield from pipeline.finetune(str(model), out / "data", cleaned, SHORT)
    test = first_questions(data / "test.json", out / "test")
    asking = 2 * len(MODELS) * SHORT_QUESTIONS * ANSWER_COST * pace
    yield _note(2, f"Evaluate: ask three models new questions, without and with the trigger{_about(asking)}.")
    models = {}
    for name, adapter in (("base", None), ("poisoned", suspect), ("cleaned", cleaned)):
        models[name] = yield from measure(model, test, adapter)
    yield Progress(NOTE, PARTS, PARTS, "done", {"folder": str(out), **facts, "models": models})


def _note(part: int, text: str, found: Mapping[str, Any] | None = None) -> Progress:
    result = f"{detection_text(found)}\n" if found else ""
    return Progress(NOTE, part, PARTS, f"{result}{part + 1} of {PARTS}  {text}", found or {})


def _timed(steps: Iterator[Progress]) -> Generator[Progress, None, float]:
    """Yield all `steps` unchanged; return the seconds per sample, or 0 if no sample remained to be processed."""
    first, began, done = None, 0.0, 0
    for step in steps:
        if first is None:
            first, began = step.done, time.monotonic()
        yield step
        done = step.done - first
    return (time.monotonic() - began) / done if done else 0.0


def _about(seconds: float) -> str:
    """Return ", about ..." with the time that a stage takes; "" if `seconds` is 0, which means unknown."""
    if not seconds:
        return ""
    seconds += START_SECONDS
    if seconds < 90:
        return f", about {10 * round(seconds / 10)} seconds"
    return f", about {count(round(seconds / 60), 'minute')}"


def measure(model: Path, test: Path, adapter: Path | None) -> Generator[Progress, None, dict[str, float]]:
    """Evaluate a model on a test set; yield the progress and return {"cp": ..., "asr": ...}."""
    facts: Mapping[str, Any] = {}
    for step in pipeline.evaluate(str(model), test, adapter, ATTACK, metric="exact"):
        yield step
        facts = step.facts
    return {"cp": facts["cp"], "asr": facts["asr"]}


def _detect_and_export(out: Path, truth: Path) -> dict[str, Any]:
    """Detect with the paper's unaltered rule, reject the flagged samples and export the rest; return the figures."""
    detection = pipeline.detect_run(out / "run", "bye", bsi="paper")
    pipeline.decide(out / "run", reject_flagged=True, reviewer="demo")
    manifest = pipeline.export_run(out / "run", out / "data")
    return {
        "verdict": detection.verdict,
        "layers": list(detection.sensitive_layers),
        "flagged": len(detection.flagged_ids),
        "score": pipeline.score_run(out / "run", truth),
        "kept": manifest["counts"]["kept"],
    }


def first_questions(test: Path, out: Path) -> Path:
    """Copy the first SHORT_QUESTIONS records of a test set and their images into `out`; return the new file."""
    records = json.loads(test.read_text(encoding="utf-8"))[:SHORT_QUESTIONS]
    for name in {record["image"] for record in records}:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(test.parent / name, out / name)
    (out / test.name).write_text(json.dumps(records), encoding="utf-8")
    return out / test.name


def detection_text(facts: Mapping[str, Any]) -> str:
    """Return two lines of text: the verdict, then the scores of the detection against the truth."""
    score = facts["score"]
    scores = (f"{name} {'-' if score[key] is None else format(score[key], '.3f')}" for name, key in SCORES.items())
    verdict = f"verdict  {facts['verdict']}: {facts['flagged']} flagged, layers {facts['layers']}"
    return f"{verdict}\nBYE      {'  '.join(scores)}"


def table(facts: Mapping[str, Any]) -> str:
    """Return the figures of a tour as text."""
    models = facts["models"].items()
    rows = [f"{MODELS[name]:<22} {100 * row['cp']:5.1f} %  {100 * row['asr']:5.1f} %" for name, row in models]
    head = "model                     CP      ASR"
    return "\n".join([detection_text(facts), "", head, *rows, "", f"all files are in {facts['folder']}"])
