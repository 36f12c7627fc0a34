"""Runs a whole cleaning, Algorithm 1 of BYE (arXiv 2505.16916): from a suspect data set to a clean adapter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bye_core import runs
from bye_core.data import export
from bye_core.detect import DETECTORS
from bye_core.errors import RunError
from bye_core.files import write_atomic
from bye_core.pipeline.check import ready
from bye_core.pipeline.cleaning import Cleaning
from bye_core.pipeline.cleaning_folder import MODELS, CleaningFolder, CleaningOutline, is_current, start_or_resume
from bye_core.pipeline.decide import decide
from bye_core.pipeline.detect import detect_run
from bye_core.pipeline.evaluate import evaluate
from bye_core.pipeline.export import export_run, unusable_rows
from bye_core.pipeline.finetune import finetune
from bye_core.pipeline.report import report_cleaning
from bye_core.pipeline.scan import ScanSettings, scan
from bye_core.records import NOT_TESTED, POISONED, Detection, Progress
from bye_core.runs.errors import RunNotWritable
from bye_core.runs.lock import locked
from bye_core.text import verdict_words
from bye_core.train.checkpoints import discard
from bye_core.train.settings import CARD, finished, needs_processes

LOCK = "clean.lock"
RANDOM_SHARE = 0.2  # the paper's baseline drops a random 20%
# A random stream of its own: with the plain seed, the baseline would drop the samples that `poison` chose.
DROP_STREAM = 1


class StaleAdapter(RunError):
    problem = "The adapter {adapter} was tuned on another selection of samples than the current one."
    remedy = "Delete that folder to tune on the current selection, or undo the decisions made since."


def clean(cleaning: Cleaning, out: Path) -> Iterator[Progress]:
    """Run all stages of `cleaning` in the folder `out`; skip the stages that are already finished in it.

    Without evidence of poisoning nothing is removed, and the adapter tuned on the whole set is the result. Keeps a
    detection or decisions that a person made in the run. `cleaning.until` "detect" ends after the detection, before
    any sample is rejected; a later call without it resumes there. The stage names are those of
    `CleaningOutline.stages`; the facts of the last item, stage "clean", hold the measurements.

    Raises: BadFinetuneSetting with `fsdp`, which needs several processes; CleaningMismatch if the folder holds another
    cleaning; StaleAdapter if an adapter was tuned on an earlier selection of samples; RunBusy if another process works
    in the folder; and the errors of each stage.
    """
    needs_processes(cleaning.settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunNotWritable(path=out, reason=error.strerror) from error
    with locked(out / LOCK):
        yield from _run_stages(cleaning, out)


def _run_stages(cleaning: Cleaning, out: Path) -> Iterator[Progress]:
    outline, record = CleaningOutline.of(cleaning, out), start_or_resume(cleaning, out)
    folder = outline.folder
    suspect = folder.tuned("suspect")
    yield from _tune(cleaning, folder, "suspect", cleaning.data)
    yield from _scan(cleaning, folder)
    detection = _detected(folder, cleaning.method)
    if cleaning.until != "detect":
        decide(folder.run, reject_flagged=True, reviewer=f"method:{cleaning.method}")
    poisoned, flagged = detection.verdict == POISONED, int(detection.flagged.sum())
    yield Progress("detect", 1, 1, facts={"verdict": detection.verdict, "flagged": flagged})
    facts: dict[str, Any] = {"verdict": detection.verdict, "flagged": flagged, "samples": len(detection.ids)}
    if detection.verdict == NOT_TESTED:
        facts["not_tested"] = [obstacle.text for obstacle in detection.obstacles]
    facts |= {"layers": list(detection.sensitive_layers), "run": str(folder.run), "adapter": str(suspect)}
    words = verdict_words(detection.verdict, flagged, len(detection.ids))
    if cleaning.until == "detect":
        yield Progress("clean", 1, 1, words, {**facts, "models": {}})
        return
    if poisoned:
        manifest = export_run(folder.run, folder.data, data=cleaning.data)
        yield Progress("export", 1, 1, facts=manifest["counts"])
        yield from _tune(cleaning, folder, "cleaned", folder.data)
        facts |= {"kept": manifest["counts"]["kept"], "data": str(folder.data)}
        facts["adapter"] = str(folder.tuned("cleaned"))
    if "random" in cleaning.baselines:
        _export_random_baseline(cleaning, folder)
        yield from _tune(cleaning, folder, "random", folder.random_data)
    models: dict[str, Any] = {}
    for name in outline.models:
        if cleaning.test and (name != "cleaned" or poisoned):
            yield from _evaluate(cleaning, cleaning.test, folder, name)
            models[name] = json.loads(folder.evaluation(name).read_text(encoding="utf-8"))["facts"]
    facts |= {"models": models, "report": str(folder.report)}
    report_cleaning(folder, record, models)
    yield Progress("report", 1, 1)
    yield Progress("clean", 1, 1, "done" if poisoned else words, facts)


def _tune(cleaning: Cleaning, folder: CleaningFolder, name: str, data: str | Path) -> Iterator[Progress]:
    """Tune the adapter `name` on `data`, unless it is finished. Raises: StaleAdapter if it was tuned on other data."""
    adapter, stage = folder.tuned(name), f"finetune {name}"
    reading = cleaning.reading if data == cleaning.data else cleaning.reading.exported()
    if finished(adapter):
        discard(adapter)
        trained_on = json.loads((adapter / CARD).read_text(encoding="utf-8")).get("data_digest")
        if trained_on != ready(data, reading).digest:
            raise StaleAdapter(adapter=adapter)
        yield Progress(stage, 1, 1, "done before")
        return
    for step in finetune(cleaning.model, data, adapter, cleaning.settings, reading):
        yield replace(step, stage=stage)


def _scan(cleaning: Cleaning, folder: CleaningFolder) -> Iterator[Progress]:
    """Scan the data set, including the answers' likelihoods if the detector uses them.

    A scan that was started without the likelihoods resumes without them, unless the detector requires them.
    """
    detector = DETECTORS[cleaning.method]
    wanted = "nll_before" in detector.wants and not runs.is_run(folder.run)
    answers = wanted or "nll_before" in detector.needs
    tuning = cleaning.settings
    settings = ScanSettings(
        device=tuning.device, dtype=tuning.dtype, answers=answers, pixels=tuning.pixels, workers=cleaning.workers
    )
    yield from scan(cleaning.model, cleaning.data, folder.run, folder.tuned("suspect"), settings, cleaning.reading)


def _detected(folder: CleaningFolder, method: str) -> Detection:
    """Return the current detection; run it if there is none."""
    run = runs.Run.open(folder.run)
    earlier = run.detection()
    return earlier if is_current(earlier, run, method) else detect_run(folder.run, method)


def random_drop(count: int, seed: int) -> list[int]:
    """Return the positions of randomly drawn samples: RANDOM_SHARE of `count`."""
    stream = np.random.SeedSequence(seed, spawn_key=(DROP_STREAM,))
    return np.random.default_rng(stream).permutation(count)[: round(RANDOM_SHARE * count)].tolist()


def _export_random_baseline(cleaning: Cleaning, folder: CleaningFolder) -> None:
    """Write the data set of the random baseline: all samples except a random share (RANDOM_SHARE)."""
    dataset = ready(cleaning.data, cleaning.reading)
    dropped = {dataset.samples[n].id for n in random_drop(len(dataset.samples), cleaning.seed)}
    rows: list[dict[str, Any]] = [
        {"id": sample.id, "index": sample.index, "reason": "dropped at random"}
        for sample in dataset.samples
        if sample.id in dropped
    ]
    keep = [sample.id for sample in dataset.samples if sample.id not in dropped]
    rows += unusable_rows(dataset, dataset.text_only)
    facts, unscanned = {"share": RANDOM_SHARE, "seed": cleaning.seed}, [sample.id for sample in dataset.text_only]
    export(dataset, keep, rows, folder.random_data, manifest=facts, unscanned=unscanned)


def _evaluate(cleaning: Cleaning, test: str, folder: CleaningFolder, name: str) -> Iterator[Progress]:
    """Measure the model `name` on the set `test`, unless the same measurement is already on disk."""
    adapter, stage = folder.adapter(name), f"evaluate {name}"
    key = {
        "test": ready(test).digest,
        "attack": {**cleaning.attack.record(), "seed": cleaning.attack_seed} if cleaning.attack else None,
        "metric": cleaning.metric,
        "adapter": hashlib.sha256((adapter / CARD).read_bytes()).hexdigest() if adapter else None,
    }
    path = folder.evaluation(name)
    if path.is_file() and json.loads(path.read_text(encoding="utf-8"))["of"] == key:
        yield Progress(stage, 1, 1, "done before")
        return
    measuring = evaluate(
        cleaning.model, test, adapter, cleaning.attack, cleaning.attack_seed, device=cleaning.settings.device,
        dtype=cleaning.settings.dtype, metric=cleaning.metric, out=folder.answers(name),
        pixels=cleaning.settings.pixels, workers=cleaning.workers,
    )  # fmt: skip
    for step in measuring:
        yield replace(step, stage=stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = {"name": MODELS[name], "of": key, "facts": dict(step.facts)}
    write_atomic(path, (json.dumps(measured, indent=1) + "\n").encode("ascii"))
