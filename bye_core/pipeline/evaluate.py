"""Measures a model on a test set: clean performance (CP) and attack success rate (ASR), with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from bye_core.attacks import Attack
from bye_core.attacks.poison import trigger_images, trigger_question
from bye_core.data.dataset import DataSet, reference_answers
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.errors import DataError
from bye_core.evaluate import measures
from bye_core.model_protocol import UNLIMITED, OpenImages, PixelLimits
from bye_core.pipeline.check import readable, ready
from bye_core.pipeline.scan import BATCH, adapter_pixels
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
    pixels: PixelLimits = UNLIMITED,
) -> Iterator[Progress]:
    """Measure CP on `data` and, given an attack, ASR on a triggered copy of `data`; the last item's facts hold both.

    `metric`: see measures.choose_metrics; short answers are scored by exact match (CP), captions by CIDEr. Writes one
    JSON line per sample, with its answers, to `out`. The facts are those of measures.Evaluation.facts: `left_out`
    counts unusable records, `failed` counts samples without an answer, and `faults` lists the reasons. `pixels`: least
    and most pixels of a resized image; zeros are those with which the adapter was trained.
    """
    from bye_core.models.calls import generate_answers
    from bye_core.models.loading import load_model

    measures.check_metric(metric)
    dataset = ready(data, reading)
    usable = readable(dataset)
    references = reference_answers(dataset, usable)
    samples = [sample for sample in usable if sample.id in references]
    attack = attack.fit(samples) if attack else None
    if out is not None:
        _write(out, [])  # fails before the work if the file cannot be written
    loaded = load_model(model, adapter, device=device, dtype=dtype, pixels=pixels.or_else(adapter_pixels(adapter)))

    clean: list[ModelAnswer] = []
    attacked: list[ModelAnswer] = []
    faults: dict[str, str] = {}
    passes: list[tuple[list[ModelAnswer], Sequence[Sample], OpenImages]] = [(clean, samples, dataset.images)]
    if attack:
        passes.append((attacked, *_triggered(dataset, samples, attack, seed)))
    done, total = 0, len(passes) * len(samples)
    for answers, variant, images in passes:
        asked = [sample for sample in variant if sample.id not in faults]
        for batch in generate_answers(loaded, asked, images, BATCH[loaded.device.type]):
            for result in batch:
                if isinstance(result, ModelAnswer):
                    answers.append(replace(result, references=references[result.id]))
                else:
                    faults[str(result.facts["id"])] = result.problem
            done += len(batch)
            yield Progress("evaluate", done, total, facts={"failed": len(faults)})

    reached = _reached(attack, samples) if attack else None
    evaluation = measures.evaluate_answers(clean, attacked, reached, metric)
    facts = {"samples": len(samples), "left_out": dataset.size - len(usable), "metric": metric, **evaluation.facts()}
    facts |= attack.summary() if attack else {}
    written = None if out is None else _write(out, evaluation.rows())
    facts |= {"failed": len(faults), "faults": faults, "answers": written}
    yield Progress("evaluate", total, total, "done", facts)


def _triggered(
    dataset: DataSet, samples: Sequence[Sample], attack: Attack, seed: int
) -> tuple[Sequence[Sample], OpenImages]:
    """Return the samples with triggered questions, and the function that opens their triggered images."""
    triggers = {sample.id: attack.triggers_of(turn) for turn, sample in enumerate(samples)}

    def images(sample: Sample) -> list[Image.Image]:
        return trigger_images(sample, dataset.images(sample), triggers[sample.id], seed)[0]

    return [trigger_question(sample, triggers[sample.id], seed) for sample in samples], images


def _reached(attack: Attack, samples: Sequence[Sample]) -> measures.Reached:
    """Return the rule that says whether an answer to a triggered sample meets the attack's target for that sample."""
    turns = {sample.id: (sample, attack.target_of(turn)) for turn, sample in enumerate(samples)}

    def reached(answer: ModelAnswer) -> bool | None:
        sample, target = turns[answer.id]
        return target.reached(sample, answer.given)

    return reached


def _write(out: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    except OSError as error:
        raise CannotWriteAnswers(path=out, reason=error.strerror or error) from error
    return str(out)
