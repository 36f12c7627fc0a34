"""Generates the parts of the shipped demo from a seed: `python -m bye_core demo --make assets/demo` (recipe: ours).

Steps: train the base model, draw images with questions, write a poisoned and a clean data set, then fine-tune
and scan a model on each of the two sets.
make.log records every step and its losses; numbers.json holds the measurements.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from bye_core import pipeline, runs
from bye_core.data.llava_set import write_llava_set
from bye_core.demo.recipe import (
    ATTACK,
    FINETUNE,
    QUESTIONS_A_TEST_IMAGE,
    SAMPLES,
    TEST_IMAGES,
)
from bye_core.demo.scenes import question_set
from bye_core.demo.tour import measure
from bye_core.records import Progress
from bye_core.train.settings import finished

POISON_RATE = 0.1
FURTHER_SEEDS = 3
# The tokenizer learns common English words from the license text. It is in the checkout, or for an installed package in
# the package's metadata.
LICENSE = Path(__file__).resolve().parents[2] / "LICENSE"
INSTALLED_LICENSE = "licenses/LICENSE"


class Log:
    """Appends JSON lines to make.log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start = time.monotonic()

    def __call__(self, **event: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seconds": round(time.monotonic() - self.start, 1), **event}) + "\n")


def make_demo(out: Path, seed: int = 0) -> Iterator[Progress]:
    """Make all files of the demo in the folder `out`. Skips what is already finished, so a stopped call can resume."""
    from bye_core.demo.base_model import make_base

    out.mkdir(parents=True, exist_ok=True)
    log, work, model = Log(out / "make.log"), work_folder(out), out / "model"
    if not (model / "processor_config.json").exists():
        yield Progress("base model", 0, 1)
        make_base(model, seed, license_text(), log)
    yield from make_data(out / "data", work, seed)
    numbers: dict[str, Any] = {"seed": seed, "models": {}}
    adapters = {"poisoned": out / "adapters" / "poisoned"}
    adapters |= {name: work / "adapters" / name for name in ("clean", "cleaned")}
    for name, run, truth in (
        ("poisoned", out / "run", out / "data" / pipeline.TRUTH),
        ("clean", work / "run-clean", None),
    ):
        data = out / "data" / f"{name}.json"
        yield from fine_tune(model, data, adapters[name], seed, log)
        yield from pipeline.scan(str(model), data, run, adapters[name])
        numbers[name] = detection_facts(run, truth)
        log(stage="found", set=name, **numbers[name])
    yield from fine_tune_on_cleaned(model, out / "run", work, adapters["cleaned"], seed, log)
    for name, adapter in {"base": None, **adapters}.items():
        numbers["models"][name] = yield from measure(model, out / "data" / "test.json", adapter)
        log(stage="evaluate", model=name, **numbers["models"][name])
    numbers["further_seeds"] = []
    for other in range(seed + 1, seed + 1 + FURTHER_SEEDS):
        folder = work / f"seed-{other}"
        yield from repeat_with_seed(model, work / "source", folder, other, log)
        result = {"seed": other, **detection_facts(folder / "run", folder / "data" / pipeline.TRUTH)}
        result |= yield from measure(model, out / "data" / "test.json", folder / "adapter")
        numbers["further_seeds"].append(result)
        log(stage="further seed", **result)
    runs.edit_settings(out / "run", model=model.as_posix())
    for path in out.glob("adapters/*/finetune.json"):
        use_relative_path(path, model)
    (out / "run" / "scan.lock").unlink(missing_ok=True)
    shutil.rmtree(out / "run" / "statistics", ignore_errors=True)  # a cache: created again when the run is opened
    (out / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    log(stage="done", **numbers)


def work_folder(out: Path) -> Path:
    """Return the folder in BYE_HOME that holds the intermediate results while the demo in `out` is made."""
    place = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:12]
    return runs.home() / "demo-parts" / place


def license_text() -> str:
    if LICENSE.is_file():
        return LICENSE.read_text(encoding="utf-8")
    return distribution("bye-core").read_text(INSTALLED_LICENSE) or ""


def make_data(data: Path, work: Path, seed: int) -> Iterator[Progress]:
    """Write poisoned.json, clean.json, test.json and truth.json. The three data sets share one folder of images."""
    source, test = work / "source", work / "source-test"
    if not source.exists():
        for done, _ in enumerate(write_llava_set(question_set(SAMPLES, 1, seed + 101), source, "png"), start=1):
            yield Progress("images", done, SAMPLES)
    if not test.exists():
        total = TEST_IMAGES * QUESTIONS_A_TEST_IMAGE
        items = question_set(TEST_IMAGES, QUESTIONS_A_TEST_IMAGE, seed + 202)
        for done, _ in enumerate(write_llava_set(items, test, "png"), start=1):
            yield Progress("test images", done, total)
    (data / "images").mkdir(parents=True, exist_ok=True)
    for name, origin, rate in (("poisoned", source, POISON_RATE), ("clean", source, 0.0), ("test", test, 0.0)):
        if (data / f"{name}.json").exists():
            continue
        yield from plant(origin, work / name, rate, seed)
        for image in (work / name / "images").iterdir():
            shutil.copyfile(image, data / "images" / image.name)
        shutil.copyfile(work / name / "data.json", data / f"{name}.json")
    shutil.copyfile(work / "poisoned" / pipeline.TRUTH, data / pipeline.TRUTH)


def plant(source: Path, out: Path, rate: float, seed: int) -> Iterator[Progress]:
    if not out.exists():
        yield from pipeline.poison(source, out, ATTACK, rate, seed, encoding="webp")


def fine_tune(model: Path, data: Path, out: Path, seed: int, log: Log) -> Iterator[Progress]:
    """Fine-tune with the settings FINETUNE, unless `out` is finished. Logs losses; stores the weights as float16."""
    if finished(out):
        return
    for step in pipeline.finetune(str(model), data, out, replace(FINETUNE, seed=seed)):
        if step.done % 50 == 0 and "loss" in step.facts:
            log(stage="finetune", out=out.name, seed=seed, **step.facts)
        yield step
    weights = out / "adapter_model.safetensors"
    save_file({name: value.half() for name, value in load_file(weights).items()}, weights)
    for name in ("progress.jsonl", "log.txt"):
        (out / name).unlink()


def fine_tune_on_cleaned(model: Path, run: Path, work: Path, adapter: Path, seed: int, log: Log) -> Iterator[Progress]:
    """Fine-tune on the samples of `run` that detection does not flag."""
    copy = work / "run-reviewed"
    if not (work / "cleaned").exists():  # decisions go into a copy, because the shipped run must hold none
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        pipeline.decide(copy, reject_flagged=True, reviewer="demo")
        pipeline.export_run(copy, work / "cleaned")
    yield from fine_tune(model, work / "cleaned", adapter, seed, log)


def use_relative_path(path: Path, model: Path) -> None:
    """Replace the absolute path of the model in a JSON file with the path `model`."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(json.dumps(str(model.resolve())), json.dumps(model.as_posix())), encoding="utf-8")


def repeat_with_seed(model: Path, source: Path, folder: Path, seed: int, log: Log) -> Iterator[Progress]:
    """Poison, fine-tune and scan with another seed."""
    yield from plant(source, folder / "data", POISON_RATE, seed)
    yield from fine_tune(model, folder / "data" / "data.json", folder / "adapter", seed, log)
    yield from pipeline.scan(str(model), folder / "data" / "data.json", folder / "run", folder / "adapter")


def detection_facts(run: Path, truth: Path | None) -> dict[str, Any]:
    """Detect with the paper's unaltered rule. Returns the result, and its score if `truth` is given."""
    detection = pipeline.detect_run(run, "bye", bsi="paper")
    result: dict[str, Any] = {
        "verdict": detection.verdict,
        "samples": len(detection.ids),
        "flagged": len(detection.flagged_ids),
        "layers": list(detection.sensitive_layers),
        "bsi": [round(report.bsi, 3) for report in detection.layers],
    }
    return result | ({"score": pipeline.score_run(run, truth)} if truth else {})
