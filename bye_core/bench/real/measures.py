"""Further measurements of a finished cell: attention sinks, collapse per layer, causal check, and cleaning.

Those that use the truth run after the scan, so no detector can see it.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from bye_core import pipeline, runs
from bye_core.bench.cell import folder_of, read_json, save_evaluation, test_set, write_json
from bye_core.bench.evidence_score import score_evidence
from bye_core.bench.real.worlds import RealCell
from bye_core.errors import ByeError
from bye_core.records import Progress
from bye_core.runs.lock import locked
from bye_core.train.settings import finished

MEASURES = "measures.json"
SINK_SAMPLES = 40  # whose attention to the first token is averaged
CHECKED = 30  # flagged samples of which the causal check asks again


def measure_cell(model: Path, cell: RealCell, root: Path) -> Iterator[Progress]:
    """Write MEASURES in the cell's folder, unless it exists; the cell must be finished.

    layers     by layer: median entropy of clean and poisoned samples in nats, and the AUC of low entropy
    sink       by layer: share of the attention on the first token, on all images and on the rest
    reference  result of the paper's detector with the separation index of the authors' code
    causal     outcomes of the causal check of up to CHECKED flagged samples of `auto`
    cleaned    CP and ASR after fine-tuning on the samples that `auto` does not flag; None if it flags none
    """
    place = folder_of(root, cell)
    with locked(place / "cell.lock"):
        if (place / MEASURES).is_file():
            return
        truth = place / "data" / pipeline.TRUTH
        facts: dict[str, Any] = {"layers": collapse(place / "run", set(read_json(truth)["poisoned"]))}
        facts["sink"] = sinks(model, place, cell)
        facts["reference"] = _detected(place, "bye", bsi="reference")
        facts["auto"] = _detected(place, "auto")
        facts["causal"] = yield from _checked(place)
        facts["cleaned"] = yield from _cleaned(model, cell, root)
        write_json(place / MEASURES, facts)


def collapse(run: Path, poisoned: set[str]) -> list[dict[str, Any]]:
    """Return for each layer the median entropies and the AUC of low entropy; only the medians of a clean set."""
    table = runs.Run.open(run).table()
    planted = np.array([id in poisoned for id in table.ids])
    return [_layer(column, planted) for column in np.asarray(table.layer_entropy, np.float64).T]


def _layer(entropies: np.ndarray, planted: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(entropies)
    sides = {"clean": entropies[known & ~planted], "poisoned": entropies[known & planted]}
    facts: dict[str, Any] = {name: round(float(np.median(own)), 3) if len(own) else None for name, own in sides.items()}
    both = all(map(len, sides.values()))
    return {**facts, "auc": round(float(roc_auc_score(planted[known], -entropies[known])), 3) if both else None}


def sinks(model: Path, place: Path, cell: RealCell) -> dict[str, list[float]]:
    """Return for each layer the mean share of attention on the first token, the images, and all other tokens."""
    from bye_core.demo.pretrained.sinks import sink_shares

    dataset = pipeline.load(place / "data")
    return sink_shares(model, place / "adapter", dataset, SINK_SAMPLES, cell.dtype)


def _detected(place: Path, method: str, **settings: Any) -> dict[str, Any]:
    try:
        detection = pipeline.detect_run(place / "run", method, **settings)
    except ByeError as error:
        return {"skipped": error.problem}
    scores = pipeline.score_run(place / "run", place / "data" / pipeline.TRUTH)
    facts = {"verdict": detection.verdict, "flagged": int(detection.flagged.sum())}
    facts |= {name: scores[name] for name in ("precision", "recall", "f1")}
    return facts | (score_evidence(place) if detection.verdict == "poisoned" else {})


def _checked(place: Path) -> Generator[Progress, None, dict[str, int]]:
    """Run the causal check on flagged samples of the last detection; return how often each outcome occurs."""
    ids = _flagged(place)[:CHECKED]
    if not ids:
        return {}
    yield from pipeline.check_causes(place / "run", ids=ids)
    found = pipeline.evidence(place / "run")["causes"]
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _flagged(place: Path) -> list[str]:
    return list(pipeline.last_detection(runs.Run.open(place / "run")).flagged_ids)


def _cleaned(model: Path, cell: RealCell, root: Path) -> Generator[Progress, None, dict[str, Any] | None]:
    """Fine-tune on the samples that the last detection does not flag; return CP and ASR, None if it flags none."""
    place = folder_of(root, cell)
    if not _flagged(place):
        return None
    work, result = place / "cleaned", place / "cleaned" / "evaluation.json"
    if not (work / "data").exists():  # the decisions go into a copy of the run
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(place / "run", work / "run")
        pipeline.decide(work / "run", reject_flagged=True, reviewer="bench")
        pipeline.export_run(work / "run", work / "data")
        shutil.rmtree(work / "run")
    if not finished(work / "adapter"):
        yield from pipeline.finetune(str(model), work / "data", work / "adapter", cell.settings())
    if not result.is_file():
        attack = pipeline.read_attack(place / "data" / pipeline.TRUTH)[0]
        steps = pipeline.evaluate(
            str(model), test_set(root, cell), work / "adapter", attack, cell.seed, metric="exact", dtype=cell.dtype
        )
        yield from save_evaluation(steps, result)
    measured: dict[str, Any] = read_json(result)
    return {name: measured.get(name) for name in ("cp", "asr")}
