"""Asks the scanned model about single samples: its answers before and after fine-tuning, and the rows of all heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bye_core import runs
from bye_core.errors import ByeError
from bye_core.model_protocol import VisionLanguageModel
from bye_core.pipeline.check import reopen_set
from bye_core.pipeline.export import check_unchanged
from bye_core.pipeline.scan import load_scanned, scanned_before
from bye_core.records import Grid, Inspection, Progress, Sample
from bye_core.runs.inspections import load_inspection, save_inspection


def inspect_samples(
    run_path: Path,
    ids: Sequence[str],
    model: str | None = None,
    adapter: str | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    before: str | None = None,
) -> Iterator[Progress]:
    """Inspect each sample and save the result in the run before each yield. Skips samples that were inspected before.

    `model`, `adapter`, `data`, `before`: their current paths, if they have moved. If the model cannot be asked about a
    sample, the reason is saved.

    Raises: UnknownSample if the run has no such sample; RunMismatch if the data set has changed; AnotherModel if
    `model` or `adapter` is not the scanned one.
    """
    run = runs.Run.open(run_path)
    samples = [run.sample(id) for id in dict.fromkeys(ids)]
    dataset = reopen_set(run.settings, data)
    check_unchanged(run, dataset)
    todo = [sample for sample in samples if load_inspection(run.path, sample.id) is None]
    done = len(samples) - len(todo)
    yield Progress("inspect", done, len(samples))
    if not todo:
        return
    from bye_core.attention import read_heads
    from bye_core.models.calls import generate_answers
    from bye_core.records import ModelAnswer

    loaded = load_scanned(run, model, adapter, device, before=scanned_before(run, before))

    def answered(asked: VisionLanguageModel, sample: Sample) -> tuple[str | None, str]:
        """Return (the model's answer, or None; the reason why there is none)."""
        ((result,),) = generate_answers(asked, [sample], dataset.images)
        return (result.given, "") if isinstance(result, ModelAnswer) else (None, result.problem)

    for sample in todo:
        answer, fault = answered(loaded, sample)
        before, rows = None, None
        grids: tuple[Grid, ...] = ()
        if not fault:
            if run.settings.knows_before:
                with loaded.before_fine_tuning() as earlier:
                    before, fault = answered(earlier, sample)
            found = read_heads(loaded, sample, dataset.images(sample))
            if isinstance(found, ByeError):
                fault = fault or found.problem
            else:
                rows, grids = found
        save_inspection(run.path, Inspection(sample.id, answer, before, rows, grids, fault))
        done += 1
        yield Progress("inspect", done, len(samples))


def read_inspections(run_path: Path, ids: Sequence[str]) -> list[Inspection]:
    """Return the saved inspections of the samples, without those that were not inspected."""
    found = (load_inspection(run_path, id) for id in dict.fromkeys(ids))
    return [inspection for inspection in found if inspection is not None]
