"""What a model does on a test set: clean performance and attack success, with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bye_core import attacks
from bye_core.attacks.poison import plant
from bye_core.data.references import references
from bye_core.errors import DataError
from bye_core.pipeline.scanning import BATCH
from bye_core.pipeline.sets import readable, ready
from bye_core.records import Progress, Sample
from bye_core.train import measures


class CannotWriteAnswers(DataError):
    problem = "The answers cannot be written to {path}: {reason}."
    remedy = "Name another file with --out."


def evaluate(
    model: str,
    data: str | Path,
    adapter: str | Path | None = None,
    trigger: str | None = None,
    target: str = "Backdoor Attack!",
    size: float = 1 / 16,
    seed: int = 0,
    device: str = "auto",
    dtype: str = "auto",
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    metric: str = "auto",
    out: Path | None = None,
) -> Iterator[Progress]:
    """CP on `data` and, where a trigger is named, ASR on triggered copies; the last item's facts hold both.

    `metric` as in measures.metrics_of: short answers are judged by exact match (CP), captions by CIDEr. `out` takes
    one JSON line a sample with its answers. Facts: `measures.Judged.facts`; `left_out` counts the unusable records,
    `failed` what the model could not answer, with the reasons in `faults`.
    """
    from bye_core.models import load_model
    from bye_core.train.evaluate import generate_answers

    measures.check_metric(metric)
    kind = attacks.make_trigger(trigger, size) if trigger else None
    dataset = ready(data, format, columns)
    usable = readable(dataset)
    right = references(dataset, usable)
    samples = [sample for sample in usable if sample.id in right]
    if out is not None:
        _write(out, [])  # what cannot be written is better known before the work
    loaded = load_model(model, adapter, device=device, dtype=dtype)
    total = (2 if kind else 1) * len(samples)

    def triggered(sample: Sample) -> list[Any]:
        return plant(sample, dataset.images(sample), kind, target, seed)[1]

    answers: dict[str, list[measures.Answered]] = {"clean": [], "attacked": []}
    faults: dict[str, str] = {}
    done = 0
    for name, pictures in {"clean": dataset.images, **({"attacked": triggered} if kind else {})}.items():
        asked = [sample for sample in samples if sample.id not in faults]
        for batch in generate_answers(loaded, asked, pictures, BATCH[loaded.device.type]):
            for one in batch:
                if isinstance(one, measures.Answered):
                    answers[name].append(replace(one, references=right[one.id]))
                else:
                    faults[one.facts["id"]] = one.problem
            done += len(batch)
            yield Progress("evaluate", done, total, facts={"failed": len(faults)})
    reached = measures.contains(target) if kind else None
    judged = measures.judge(answers["clean"], answers["attacked"] if kind else None, reached, metric)
    facts = {"samples": len(samples), "left_out": dataset.size - len(usable), "metric": metric, **judged.facts()}
    facts |= {"trigger": trigger, "target": target} if kind else {}
    facts |= {"failed": len(faults), "faults": faults, "answers": None if out is None else _write(out, judged.rows())}
    yield Progress("evaluate", total, total, "done", facts)


def _write(out: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    except OSError as error:
        raise CannotWriteAnswers(path=out, reason=error.strerror or error) from error
    return str(out)
