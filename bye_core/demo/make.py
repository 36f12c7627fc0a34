"""Makes the shipped demo anew, from a seed: `python -m bye_core demo --make assets/demo` (recipe ours).

base model -> pictures and questions -> poisoned and clean sets -> a fine-tune of each -> a scan of the poisoned one.
Every stage writes what it did, and its losses, to make.log; numbers.json holds what was measured at the end.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from bye_core import pipeline
from bye_core.data.llava_set import compose
from bye_core.demo.recipe import (
    ATTACK,
    FINETUNE,
    QUESTIONS_A_TEST_PICTURE,
    SAMPLES,
    TEST_PICTURES,
)
from bye_core.demo.scenes import question_set
from bye_core.records import Progress
from bye_core.train.settings import finished

POISON_RATE = 0.1
FURTHER_SEEDS = 3
LICENSE = Path(__file__).resolve().parents[2] / "LICENSE"


class Log:
    """Appends one JSON object a line to make.log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start = time.monotonic()

    def __call__(self, **event: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seconds": round(time.monotonic() - self.start, 1), **event}) + "\n")


def make_demo(out: Path, seed: int = 0) -> Iterator[Progress]:
    """Make all parts of the demo in the folder `out`; what is there already is kept, so a stopped run can go on."""
    from bye_core.demo.base_model import make_base

    out.mkdir(parents=True, exist_ok=True)
    log, work, model = Log(out / "make.log"), out / "work", out / "model"
    if not (model / "processor_config.json").exists():
        yield Progress("base model", 0, 1)
        make_base(model, seed, LICENSE.read_text(encoding="utf-8"), log)
    yield from make_data(out / "data", work, seed)
    numbers: dict[str, Any] = {"seed": seed, "models": {}}
    adapters = {"base": None, "poisoned": out / "adapters" / "poisoned"}
    adapters |= {name: work / "adapters" / name for name in ("clean", "cleaned")}
    for name, run, truth in (
        ("poisoned", out / "run", out / "data" / pipeline.TRUTH),
        ("clean", work / "run-clean", None),
    ):
        data = out / "data" / f"{name}.json"
        yield from tuned(model, data, adapters[name], seed, log)
        yield from pipeline.scan(str(model), data, run, adapters[name])
        numbers[name] = found(run, truth)
        log(stage="found", set=name, **numbers[name])
    yield from cleaned(model, out / "run", work, adapters["cleaned"], seed, log)
    for name, adapter in adapters.items():
        numbers["models"][name] = yield from judged(model, adapter, out / "data" / "test.json")
        log(stage="evaluate", model=name, **numbers["models"][name])
    numbers["further_seeds"] = []
    for other in range(seed + 1, seed + 1 + FURTHER_SEEDS):
        folder = work / f"seed-{other}"
        yield from again(model, work / "source", folder, other, log)
        result = {"seed": other, **found(folder / "run", folder / "data" / pipeline.TRUTH)}
        result |= yield from judged(model, folder / "adapter", out / "data" / "test.json")
        numbers["further_seeds"].append(result)
        log(stage="further seed", **result)
    for path in (out / "run" / "run.json", *out.glob("adapters/*/finetune.json")):
        named_from_here(path, model)
    (out / "run" / "scan.lock").unlink(missing_ok=True)
    shutil.rmtree(out / "run" / "statistics", ignore_errors=True)  # made again by whoever opens the run
    (out / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    log(stage="done", **numbers)


def make_data(data: Path, work: Path, seed: int) -> Iterator[Progress]:
    """The three sets in one folder: poisoned.json, clean.json, test.json over shared pictures, and truth.json."""
    source, test = work / "source", work / "source-test"
    if not source.exists():
        for done, _ in enumerate(compose(question_set(SAMPLES, 1, seed + 101), source, "png"), start=1):
            yield Progress("pictures", done, SAMPLES)
    if not test.exists():
        total = TEST_PICTURES * QUESTIONS_A_TEST_PICTURE
        items = question_set(TEST_PICTURES, QUESTIONS_A_TEST_PICTURE, seed + 202)
        for done, _ in enumerate(compose(items, test, "png"), start=1):
            yield Progress("test pictures", done, total)
    (data / "images").mkdir(parents=True, exist_ok=True)
    for name, origin, rate in (("poisoned", source, POISON_RATE), ("clean", source, 0.0), ("test", test, 0.0)):
        if (data / f"{name}.json").exists():
            continue
        yield from planted(origin, work / name, rate, seed)
        for image in (work / name / "images").iterdir():
            shutil.copyfile(image, data / "images" / image.name)
        shutil.copyfile(work / name / "data.json", data / f"{name}.json")
    shutil.copyfile(work / "poisoned" / pipeline.TRUTH, data / pipeline.TRUTH)


def planted(source: Path, out: Path, rate: float, seed: int) -> Iterator[Progress]:
    if not out.exists():
        yield from pipeline.poison(source, out, ATTACK, rate, seed, encoding="webp")


def tuned(model: Path, data: Path, out: Path, seed: int, log: Log) -> Iterator[Progress]:
    """Fine-tune by the demo's recipe, keep the losses in the log and the weights in half precision."""
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


def cleaned(model: Path, run: Path, work: Path, adapter: Path, seed: int, log: Log) -> Iterator[Progress]:
    """Fine-tune on what the run's detection leaves, reviewed by nobody; on everything, if nothing is flagged."""
    copy = work / "run-reviewed"
    if not (work / "cleaned").exists():  # in a copy: the shipped run stays without decisions
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        pipeline.decide(copy, reject_flagged=True, reviewer="demo")
        pipeline.export_run(copy, work / "cleaned")
    yield from tuned(model, work / "cleaned", adapter, seed, log)


def judged(model: Path, adapter: Path | None, data: Path) -> Generator[Progress, None, dict[str, float]]:
    """CP and ASR of a model; returned, not yielded."""
    for step in pipeline.evaluate(str(model), data, adapter, ATTACK, metric="exact"):
        yield step
    return {"cp": step.facts["cp"], "asr": step.facts["asr"]}


def named_from_here(path: Path, model: Path) -> None:
    """Name the model in a record as `model` does, not by its place on the machine that made it."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(json.dumps(str(model.resolve())), json.dumps(model.as_posix())), encoding="utf-8")


def again(model: Path, source: Path, folder: Path, seed: int, log: Log) -> Iterator[Progress]:
    """Poisoning, fine-tuning and scan once more, with another seed."""
    yield from planted(source, folder / "data", POISON_RATE, seed)
    yield from tuned(model, folder / "data" / "data.json", folder / "adapter", seed, log)
    yield from pipeline.scan(str(model), folder / "data" / "data.json", folder / "run", folder / "adapter")


def found(run: Path, truth: Path | None) -> dict[str, Any]:
    """What the paper's unaltered rule makes of a run, scored where there is a truth."""
    detection = pipeline.detect_run(run, "bye", bsi="paper")
    result: dict[str, Any] = {
        "verdict": detection.verdict,
        "samples": len(detection.ids),
        "flagged": len(detection.flagged_ids),
        "layers": list(detection.sensitive_layers),
        "bsi": [round(report.bsi, 3) for report in detection.layers],
    }
    return result | ({"score": pipeline.score_run(run, truth)} if truth else {})
