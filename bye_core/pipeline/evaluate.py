"""Measures a model on a test set: clean performance (CP) and attack success rate (ASR), with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core.attacks import Attack
from bye_core.attacks.poison import trigger_images, trigger_question
from bye_core.data.dataset import reference_answers
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.errors import DataError
from bye_core.evaluate import measures
from bye_core.pipeline.check import readable, ready
from bye_core.pipeline.scan import BATCH
from bye_core.records import ModelAnswer, Progress, Sample


class CannotWriteAnswers(DataError):
    problem = "The answers cannot be written to {path}: {reason}."
    remedy = "Give another file as --out."


def evaluate(
    model: str,
    data: str | Path,
    adapter: str | Path | None = None,
    attack: Attack | None = None,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    reading: ReadingOptions = AUTOMATIC,
    metric: str = "auto",
    out: Path | None = None,
) -> Iterator[Progress]:
    """Measure CP on `data` and, given an attack, ASR on a triggered copy of `data`; the last item's facts hold both.

    `metric`: see measures.choose_metrics; short answers are scored by exact match (CP), captions by CIDEr. Writes one
    JSON line per sample, with its answers, to `out`. The facts are those of measures.Evaluation.facts: `left_out`
    counts unusable records, `failed` counts samples without an answer, and `faults` lists the reasons.
    """
    from bye_core.models.calls import generate_answers
    from bye_core.models.loading import load_model

    measures.check_metric(metric)
    dataset = ready(data, reading)
    usable = readable(dataset)
    right = reference_answers(dataset, usable)
    samples = [sample for sample in usable if sample.id in right]
    if out is not None:
        _write(out, [])  # fails before the work if the file cannot be written
    loaded = load_model(model, adapter, device=device, dtype=dtype)
    total = (2 if attack else 1) * len(samples)

    carried = {sample.id: attack.triggers_of(turn) for turn, sample in enumerate(samples)} if attack else {}

    def triggered(sample: Sample) -> list[Any]:
        return trigger_images(sample, dataset.images(sample), carried[sample.id], seed)[0]

    answers: dict[str, list[ModelAnswer]] = {"clean": [], "attacked": []}
    faults: dict[str, str] = {}
    done = 0
    for name, images in {"clean": dataset.images, **({"attacked": triggered} if attack else {})}.items():
        asked = [sample for sample in samples if sample.id not in faults]
        if name == "attacked":
            asked = [trigger_question(sample, carried[sample.id], seed) for sample in asked]
        for batch in generate_answers(loaded, asked, images, BATCH[loaded.device.type]):
            for one in batch:
                if isinstance(one, ModelAnswer):
                    answers[name].append(replace(one, references=right[one.id]))
                else:
                    faults[str(one.facts["id"])] = one.problem
            done += len(batch)
            yield Progress("evaluate", done, total, facts={"failed": len(faults)})
    reached = attack.target.reached if attack else None
    evaluation = measures.evaluate_answers(answers["clean"], answers["attacked"], reached, metric)
    facts = {"samples": len(samples), "left_out": dataset.size - len(usable), "metric": metric, **evaluation.facts()}
    facts |= attack.summary() if attack else {}
    facts |= {
        "failed": len(faults),
        "faults": faults,
        "answers": None if out is None else _write(out, evaluation.rows()),
    }
    yield Progress("evaluate", total, total, "done", facts)


def _write(out: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    except OSError as error:
        raise CannotWriteAnswers(path=out, reason=error.strerror or error) from error
    return str(out)
