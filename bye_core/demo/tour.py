"""`python -m bye_core demo`: the real thing on the shipped parts, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bye_core import pipeline, runs
from bye_core.demo.recipe import ATTACK, TOUR
from bye_core.errors import RunError
from bye_core.files import ASSETS
from bye_core.records import Progress
from bye_core.train.settings import finished

DEMO = ASSETS / "demo"


class NoDemo(RunError):
    problem = "The shipped demo is not at {path}."
    remedy = "Run from a checkout of the repository, or make it anew: python -m bye_core demo --make {path}"


def tour(out: Path | None = None, assets: Path = DEMO) -> Iterator[Progress]:
    """Scan, detect, score, export, fine-tune on the rest and evaluate; the last item's facts hold all figures.

    `out` is where to work (default: a new folder at home); a tour that was stopped goes on there. Raises NoDemo.
    """
    model, data = assets / "model", assets / "data"
    if not (model / "config.json").is_file():
        raise NoDemo(path=assets)
    out = out or runs.new_run_path("demo")
    suspect = assets / "adapters" / "poisoned"
    yield from pipeline.scan(str(model), data / "poisoned.json", out / "run", suspect)
    detection = pipeline.detect_run(out / "run", "bye", bsi="paper")
    pipeline.decide(out / "run", reject_flagged=True, reviewer="demo")
    manifest = pipeline.export_run(out / "run", out / "data")
    cleaned = out / "adapter"
    if not finished(cleaned):
        yield from pipeline.finetune(str(model), out / "data", cleaned, TOUR)
    models = {}
    for name, adapter in (("base", None), ("poisoned", suspect), ("cleaned", cleaned)):
        step = None
        for step in pipeline.evaluate(str(model), data / "test.json", adapter, ATTACK, metric="exact"):
            yield step
        models[name] = {"cp": step.facts["cp"], "asr": step.facts["asr"]}
    facts = {
        "folder": str(out),
        "verdict": detection.verdict,
        "layers": list(detection.sensitive_layers),
        "flagged": len(detection.flagged_ids),
        "score": pipeline.score_run(out / "run", data / pipeline.TRUTH),
        "kept": manifest["counts"]["kept"],
        "models": models,
    }
    yield Progress("demo", 1, 1, "done", facts)


def table(facts: Mapping[str, Any]) -> str:
    """The tour's figures for a person."""
    score, models = facts["score"], facts["models"]
    ratios = (
        f"{name} {score[key]:.3f}" if score[key] is not None else f"{name} -"
        for name, key in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"), ("AUC", "auc"))
    )
    lines = [
        f"verdict  {facts['verdict']}: {facts['flagged']} flagged, layers {facts['layers']}",
        "BYE      " + "  ".join(ratios),
        "",
        "model                     CP      ASR",
    ]
    names = {"base": "base", "poisoned": "tuned on everything", "cleaned": "tuned on what is left"}
    lines += [f"{names[name]:<22} {100 * row['cp']:5.1f} %  {100 * row['asr']:5.1f} %" for name, row in models.items()]
    return "\n".join([*lines, "", f"all of it is in {facts['folder']}"])
