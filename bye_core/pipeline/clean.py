"""BYE's Algorithm 1: the stages in a row, from a suspect data set to a clean adapter and a report on both."""

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
from bye_core.files import write_atomic
from bye_core.pipeline.check import ready
from bye_core.pipeline.cleaning_plan import (
    MODELS,
    RANDOM_SHARE,
    Cleaning,
    Places,
    StaleAdapter,
    begin,
    covers,
    models_of,
)
from bye_core.pipeline.decide import decide
from bye_core.pipeline.detect import detect_run
from bye_core.pipeline.evaluate import evaluate
from bye_core.pipeline.export import export_run
from bye_core.pipeline.finetune import finetune
from bye_core.pipeline.report import report_cleaning
from bye_core.pipeline.scan import ScanSettings, scan
from bye_core.records import Detection, Progress
from bye_core.runs.errors import RunNotWritable
from bye_core.runs.lock import locked
from bye_core.train.checkpoints import discard
from bye_core.train.settings import CARD, finished

LOCK = "clean.lock"
DROP_STREAM = 1  # of random numbers: with the plain seed's the drop would hit what `poison` chose by the same seed


def clean(wanted: Cleaning, out: Path) -> Iterator[Progress]:
    """The whole of BYE's Algorithm 1 in `out`, as `cleaning` describes it; what is finished there is not done again.

    Without evidence of poisoning nothing is removed, and the adapter tuned on everything is the result. A detection
    or decisions that a person made in `out`/run meanwhile stand. Stages as `cleaning.stages` names them; the last item,
    "clean", holds the figures. Raises CleaningMismatch, StaleAdapter, RunBusy where another call is at work in the
    folder, and what the stages raise.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunNotWritable(path=out, reason=error.strerror) from error
    with locked(out / LOCK):
        yield from _stages(wanted, out)


def _stages(wanted: Cleaning, out: Path) -> Iterator[Progress]:
    place, record = Places.of(wanted, out), begin(wanted, out)
    yield from _tuned(wanted, place, "suspect", wanted.data)
    detector = DETECTORS[wanted.method]
    # A scan that was made without the answers goes on without them where they are not needed.
    wished = "nll_before" in detector.wants and not runs.is_run(place.run)
    answers = wished or "nll_before" in detector.needs
    machine = ScanSettings(device=wanted.settings.device, dtype=wanted.settings.dtype, answers=answers)
    suspect = place.adapter("suspect")
    yield from scan(wanted.model, wanted.data, place.run, suspect, machine, wanted.format, wanted.columns)
    detection = _detected(place, wanted.method)
    count = int(detection.flagged.sum())
    yield Progress("detect", 1, 1, facts={"verdict": detection.verdict, "flagged": count})
    facts = {"verdict": detection.verdict, "flagged": count, "samples": len(detection.ids)}
    facts |= {"layers": list(detection.sensitive_layers), "run": str(place.run), "adapter": str(suspect)}
    poisoned = detection.verdict == "poisoned"
    if poisoned:
        manifest = export_run(place.run, place.data, data=wanted.data)
        yield Progress("export", 1, 1, facts=manifest["counts"])
        yield from _tuned(wanted, place, "cleaned", place.data)
        facts |= {"kept": manifest["counts"]["kept"], "data": str(place.data)}
        facts["adapter"] = str(place.adapter("cleaned"))
    if "random" in wanted.baselines:
        _drop_at_random(wanted, place)
        yield from _tuned(wanted, place, "random", place.random_data)
    models: dict[str, Any] = {}
    for name in models_of(wanted) if wanted.test else ():
        if name != "cleaned" or poisoned:
            yield from _measured(wanted, place, name)
            models[name] = json.loads(place.evaluation(name).read_text(encoding="utf-8"))["facts"]
    facts |= {"models": models, "report": str(place.report)}
    report_cleaning(place, record, models)
    yield Progress("report", 1, 1)
    yield Progress("clean", 1, 1, "done" if poisoned else "no evidence of poisoning", facts)


def _tuned(wanted: Cleaning, place: Places, name: str, data: str | Path) -> Iterator[Progress]:
    """The adapter `name`, tuned on `data` unless it is finished. Raises StaleAdapter."""
    adapter, stage = place.adapter(name), f"finetune {name}"
    if finished(adapter):
        discard(adapter)
        trained_on = json.loads((adapter / CARD).read_text(encoding="utf-8")).get("data_digest")
        if trained_on != ready(data, wanted.format, wanted.columns).digest:
            raise StaleAdapter(adapter=adapter)
        yield Progress(stage, 1, 1, "done before")
        return
    for step in finetune(wanted.model, data, adapter, wanted.settings, wanted.format, wanted.columns):
        yield replace(step, stage=stage)


def _detected(place: Places, method: str) -> Detection:
    """The detection that stands; what it flags is rejected where no person has decided."""
    run = runs.Run.open(place.run)
    standing = run.detection()
    detection = standing if covers(standing, run, method) else detect_run(place.run, method)
    decide(place.run, reject_flagged=True, reviewer=f"method:{method}")
    return detection


def drawn_to_drop(count: int, seed: int) -> list[int]:
    """Positions of RANDOM_SHARE of `count` samples."""
    stream = np.random.SeedSequence(seed, spawn_key=(DROP_STREAM,))
    return np.random.default_rng(stream).permutation(count)[: round(RANDOM_SHARE * count)].tolist()


def _drop_at_random(wanted: Cleaning, place: Places) -> None:
    """The baseline's data set: RANDOM_SHARE of the samples less, whichever they are."""
    dataset = ready(wanted.data, wanted.format, wanted.columns)
    dropped = {dataset.samples[n].id for n in drawn_to_drop(len(dataset.samples), wanted.seed)}
    rows = [
        {"id": one.id, "index": one.index, "reason": "dropped at random"}
        for one in dataset.samples
        if one.id in dropped
    ]
    keep = [one.id for one in dataset.samples if one.id not in dropped]
    export(dataset, keep, rows, place.random_data, manifest={"share": RANDOM_SHARE, "seed": wanted.seed})


def _measured(wanted: Cleaning, place: Places, name: str) -> Iterator[Progress]:
    """CP and ASR of one model, unless the same was measured before."""
    adapter, stage = place.adapter(name), f"evaluate {name}"
    key = {
        "test": ready(wanted.test).digest,
        "attack": {**wanted.attack.record(), "seed": wanted.attack_seed} if wanted.attack else None,
        "metric": wanted.metric,
        "adapter": hashlib.sha256((adapter / CARD).read_bytes()).hexdigest() if adapter else None,
    }
    path = place.evaluation(name)
    if path.is_file() and json.loads(path.read_text(encoding="utf-8"))["of"] == key:
        yield Progress(stage, 1, 1, "done before")
        return
    machine = {"device": wanted.settings.device, "dtype": wanted.settings.dtype}
    more = {"metric": wanted.metric, "out": place.answers(name), **machine}
    for step in evaluate(wanted.model, wanted.test, adapter, wanted.attack, wanted.attack_seed, **more):
        yield replace(step, stage=stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = {"name": MODELS[name], "of": key, "facts": dict(step.facts)}
    write_atomic(path, (json.dumps(measured, indent=1) + "\n").encode("ascii"))
