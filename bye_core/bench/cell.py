"""Runs one cell of the benchmark: draw images, poison, fine-tune, evaluate and scan. Finished work is not repeated.

The folder of a benchmark has one subfolder per purpose ("dev", "report"), with
sets/NAME/          images and questions before poisoning, shared by all cells that use them
sets/NAME.MODEL.json   evaluation of the base model on a test set
cells/NAME/         cell.json (settings), data/ with truth.json, adapter/, answers.jsonl, evaluation.json, run/,
                    detections.json, and done.json, written after everything but the detections is finished
results.json, table.md
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.bench.matrix import TEST, TRAINING, Cell
from bye_core.data.llava_set import write_llava_set
from bye_core.errors import RunError
from bye_core.files import write_atomic
from bye_core.records import Progress
from bye_core.runs.lock import locked
from bye_core.train.settings import finished, learned_settings

RECORD, DONE, EVALUATION = "cell.json", "done.json", "evaluation.json"
QUESTIONS_A_TEST_IMAGE = 2
# Another process may hold the lock for minutes, while it draws the same set or runs the detectors.
WAIT_SECONDS = 1800.0
FIGURES = ("cp", "cp_interval", "cp_samples", "asr", "asr_interval", "asr_samples")


class CellMismatch(RunError):
    problem = "The folder {folder} holds a cell with different settings: {differences}."
    remedy = "Set another folder with --out, or delete the folder of this cell."


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps(value, indent=1) + "\n").encode("ascii"))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def is_done(root: Path, cell: Cell) -> bool:
    """Return whether all stages of the cell are finished; the detections do not count."""
    return (folder_of(root, cell) / DONE).is_file()


def folder_of(root: Path, cell: Cell) -> Path:
    return root / "cells" / cell.name


def run_cell(model: Path, cell: Cell, root: Path) -> Iterator[Progress]:
    """Run all stages of a cell in `root`/cells/NAME, unless they are finished. Does not run the detectors.

    The steps name the stage and the cell, as in "poison NAME". Raises: RunBusy if another process runs the cell;
    CellMismatch if the folder holds a cell with other settings; the errors of the stages.
    """
    place = folder_of(root, cell)
    place.mkdir(parents=True, exist_ok=True)
    with locked(place / "cell.lock"):
        record = begin_cell(model, cell, place)
        if is_done(root, cell):
            return
        for step in _stages(model, cell, root, record["model_digest"]):
            yield replace(step, stage=f"{step.stage} {cell.name}")


def begin_cell(model: Path, cell: Cell, place: Path) -> dict[str, Any]:
    """Record the settings of the cell, or check that they equal the recorded settings; return the settings.

    Raises: CellMismatch if they differ; ModelNotFound if there is no such model.
    """
    from bye_core.models.files import combined, digests, local_folder

    attack = cell.planted()
    now = {
        "cell": cell.record(),
        "attack": attack.record() if attack else None,
        "settings": learned_settings(cell.settings()),
        "model_digest": combined(digests(local_folder(model))),
    }
    if not (place / RECORD).is_file():
        write_json(place / RECORD, now)
    then = read_json(place / RECORD)
    now = json.loads(json.dumps(now))
    if differences := [name for name, value in now.items() if then.get(name) != value]:
        raise CellMismatch(folder=place, differences=", ".join(differences).replace("_", " "))
    return now


def _stages(model: Path, cell: Cell, root: Path, model_digest: str) -> Iterator[Progress]:
    place, attack = folder_of(root, cell), cell.planted()
    data, adapter = place / "data", place / "adapter"
    yield from draw_sets(cell, root)
    if not data.exists():
        # `poison` needs an attack even for a rate of 0, which encodes the images in the same way.
        how = (attack or pipeline.plan_attack(["patch"]), cell.rate, cell.seed)
        count = cell.count or None
        yield from pipeline.poison(training_set(root, cell), data, *how, encoding="webp", count=count)
        # Answers that the target takes from the training set are those that count on the test set.
    attack = attack and pipeline.read_attack(data / pipeline.TRUTH)[0]
    if not finished(adapter):
        yield from pipeline.finetune(str(model), data, adapter, cell.settings())
    test = test_set(root, cell)
    if not (place / EVALUATION).is_file():
        yield from save_evaluation(
            pipeline.evaluate(
                str(model),
                test,
                adapter,
                attack,
                cell.seed,
                metric="exact",
                dtype=cell.dtype,
                out=place / "answers.jsonl",
            ),
            place / EVALUATION,
        )
    base = test.with_name(f"{test.name}.{model_digest[:12]}.json")
    with locked(test.with_suffix(".lock"), WAIT_SECONDS):
        if not base.is_file():
            yield from save_evaluation(pipeline.evaluate(str(model), test, metric="exact", dtype=cell.dtype), base)
    scan = Progress("scan", 0, 0)
    # Some detectors need the likelihoods of the answers. A finished run cannot get them later.
    for scan in pipeline.scan(
        str(model), data, place / "run", adapter, pipeline.ScanSettings(dtype=cell.dtype, answers=True)
    ):
        yield scan
    write_json(place / DONE, _facts(place, read_json(base), scan))


def _facts(place: Path, base: dict[str, Any], scan: Progress) -> dict[str, Any]:
    """Return the results of all stages of a cell, for done.json."""
    card = read_json(place / "adapter" / "finetune.json")
    log = (place / "adapter" / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    truth = read_json(place / "data" / pipeline.TRUTH)
    tuned = read_json(place / EVALUATION)
    return {
        "poisoned": len(truth["poisoned"]),
        "training": {"steps": card["steps"], "loss": card["loss"], "seconds": json.loads(log[-1])["seconds"]},
        "base": {name: base[name] for name in FIGURES if name in base},
        "tuned": {name: tuned[name] for name in FIGURES if name in tuned},
        "by_question": tuned["by_question"],
        "scan": dict(scan.facts),
    }


def save_evaluation(steps: Iterable[Progress], out: Path) -> Iterator[Progress]:
    """Yield the steps of an evaluation unchanged, then save the facts of the last step in `out`."""
    for step in steps:
        yield step
    write_json(out, dict(step.facts))


def training_set(root: Path, cell: Cell) -> Path:
    each = f"-q{cell.questions_an_image}" if cell.questions_an_image > 1 else ""
    return root / "sets" / f"{cell.mix}-n{cell.samples}{each}-s{cell.seed}"


def test_set(root: Path, cell: Cell) -> Path:
    return root / "sets" / f"{cell.mix}-t{cell.test}-s{cell.seed}"


def draw_sets(cell: Cell, root: Path) -> Iterator[Progress]:
    """Draw the clean training set and the test set of the cell, unless they exist."""
    asked, each_image = min(QUESTIONS_A_TEST_IMAGE, len(cell.kinds)), cell.questions_an_image
    (root / "sets").mkdir(parents=True, exist_ok=True)
    for out, images, each, stream in (
        (training_set(root, cell), -(-cell.samples // each_image), each_image, TRAINING),
        (test_set(root, cell), -(-cell.test // asked), asked, TEST),
    ):
        with locked(out.with_suffix(".lock"), WAIT_SECONDS):
            if out.exists():
                continue
            for done, _ in enumerate(write_llava_set(cell.items(images, each, stream), out, "png"), start=1):
                yield Progress("draw", done, images * each)
