"""Measures a model on a test set: clean performance (CP) and attack success rate (ASR), with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bye_core.attacks import Attack, Trigger
from bye_core.attacks.poison import trigger_images, trigger_question
from bye_core.data.dataset import DataSet, reference_answers
from bye_core.data.reading import AUTOMATIC, ReadingOptions
from bye_core.errors import DataError, SettingError
from bye_core.evaluate import measures
from bye_core.model_protocol import UNLIMITED, PixelLimits
from bye_core.pipeline.check import readable, ready
from bye_core.pipeline.scan import BATCH, adapter_pixels
from bye_core.pipeline.tasks import AnswerTask, chunks, stored_images
from bye_core.records import ModelAnswer, Progress, Sample
from bye_core.workers import ONE_PROCESS, ModelSource, WorkerSettings, open_model


@dataclass(frozen=True)
class TriggeredAnswerTask(AnswerTask):
    """Generates answers for a batch, whose images get the `triggers` of their samples (by id) first."""

    triggers: Mapping[str, Sequence[Trigger]]
    seed: int

    def show(self, sample: Sample, images: Any) -> Any:
        if sample.id not in self.triggers:
            return images
        return trigger_images(sample, images, self.triggers[sample.id], self.seed)[0]


class NoSampleCarries(SettingError):
    problem = "No sample of the test set can carry the trigger, so there is no attack success rate to measure."
    remedy = "{remedies} Give another test set or another trigger."


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
    workers: WorkerSettings = ONE_PROCESS,
) -> Iterator[Progress]:
    """Measure CP on `data` and, given an attack, ASR on a triggered copy of `data`; the last item's facts hold both.

    `metric`: see measures.choose_metrics; short answers are scored by exact match (CP), captions by CIDEr. Writes one
    JSON line per sample, with its answers, to `out`. The facts are those of measures.Evaluation.facts: `left_out`
    counts unusable records, `cannot_carry` samples that no trigger fits (if there are any), `failed` samples without an
    answer, and `faults` lists the reasons. `pixels`: least and most pixels of a resized image; zeros are those with
    which the adapter was trained. `workers`: where the model runs. Raises: NoSampleCarries if no trigger fits a sample.
    """
    measures.check_metric(metric)
    dataset = ready(data, reading)
    usable = readable(dataset)
    references = reference_answers(dataset, usable)
    samples = [sample for sample in usable if sample.id in references]
    attack = attack.fit(samples) if attack else None
    if out is not None:
        _write(out, [])  # fails before the work if the file cannot be written
    source = ModelSource(
        model, str(adapter) if adapter else None, device, dtype, pixels.or_else(adapter_pixels(adapter))
    )
    clean: list[ModelAnswer] = []
    attacked: list[ModelAnswer] = []
    faults: dict[str, str] = {}
    carriers = _carriers(attack, samples) if attack else []
    done, total = 0, len(samples) + len(carriers)
    with open_model(source, workers) as runner:
        size = BATCH[runner.facts.device]
        for answers, planted, all_asked in ((clean, None, samples), (attacked, attack, carriers)):
            asked = [sample for sample in all_asked if sample.id not in faults]
            for _, batch in runner.map(_answer_tasks(dataset, samples, asked, planted, seed, size)):
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
    if attack and len(carriers) < len(samples):
        facts["cannot_carry"] = len(samples) - len(carriers)
    written = None if out is None else _write(out, evaluation.rows())
    facts |= {"failed": len(faults), "faults": faults, "answers": written}
    yield Progress("evaluate", total, total, "done", facts)


def _carriers(attack: Attack, samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples that can get the triggers of their turn. Raises: NoSampleCarries if there are none."""
    carriers = [sample for turn, sample in enumerate(samples) if attack.fits(sample, turn)]
    if samples and not carriers:
        raise NoSampleCarries(remedies=" ".join(trigger.eligibility_remedy() for trigger in attack.triggers).strip())
    return carriers


def _answer_tasks(
    dataset: DataSet, samples: Sequence[Sample], asked: Sequence[Sample], attack: Attack | None, seed: int, size: int
) -> Iterator[TriggeredAnswerTask]:
    """Yield the batches of the samples `asked`; with an attack, its triggers are planted in questions and images."""
    triggers = {sample.id: attack.triggers_of(turn) for turn, sample in enumerate(samples)} if attack else {}
    for batch in chunks(asked, size):
        planted = {sample.id: triggers[sample.id] for sample in batch} if attack else {}
        variant = [trigger_question(sample, planted[sample.id], seed) if planted else sample for sample in batch]
        yield TriggeredAnswerTask(variant, stored_images(dataset, batch), planted, seed)


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
