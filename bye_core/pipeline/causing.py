"""The causal check: the scanned model asked again, with the suspected spot covered or the suspected words left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core import evidence, runs
from bye_core.data import DataSet
from bye_core.errors import ByeError
from bye_core.evidence import Cause, Dossier, Look, Question
from bye_core.pipeline.dossiers import dossier
from bye_core.pipeline.exporting import check_unchanged
from bye_core.pipeline.scanned import load_scanned
from bye_core.pipeline.scanning import BATCH
from bye_core.pipeline.sets import ready
from bye_core.records import CausalCheck, Progress, Sample
from bye_core.runs.errors import DamagedSample, NotScanned
from bye_core.train.measures import Answered, as_facts, share


def check_causes(
    run_path: Path,
    model: str | None = None,
    adapter: str | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    ids: Sequence[str] | None = None,
) -> Iterator[Progress]:
    """Ask the scanned model about every flagged sample, or those of `ids`, and keep its answers in the run; each yield
    is on disk. What was asked before is not asked again. `model`, `adapter`, `data`: where they are now, if they moved.

    Samples that cannot be asked are kept with their reason and end nothing. Raises NothingDetected, RunBusy, and
    RunMismatch where the data set has changed, before a model is loaded; AnotherModel after.
    """
    run = runs.Run.open(run_path)
    told = dossier(run)
    dataset = ready(data or run.settings.data, run.settings.format, run.settings.more.get("columns"))
    check_unchanged(run, dataset)
    wanted = list(told.flagged_ids if ids is None else ids)
    with run.checking() as file:
        known, todo = run.checks(), []
        for id in wanted:
            question = question_about(run, told, id)
            found = known.get(id)
            if found is None or found.fault or found.key != _key(run, told, question):
                todo.append(question)
        yield _progress(len(wanted) - len(todo), len(wanted), 0)
        loaded = load_scanned(run, model, adapter, device) if todo else None
        size, failed = BATCH[loaded.device.type] if loaded else 1, 0
        for start in range(0, len(todo), size):
            batch = todo[start : start + size]
            given, faults = _given(loaded, dataset, batch)
            file.append(
                [
                    CausalCheck(
                        one.sample.id, _key(run, told, one), given[one.sample.id], faults.get(one.sample.id, "")
                    )
                    for one in batch
                ]
            )
            failed += len(faults)
            yield _progress(len(wanted) - len(todo) + start + len(batch), len(wanted), failed)


def _progress(done: int, total: int, failed: int) -> Progress:
    return Progress("evidence", done, total, facts={"failed": failed})


def question_about(run: runs.Run, told: Dossier, id: str) -> Question:
    """How a causal check asks about a sample. Rows that cannot be read leave no spot to cover."""
    try:
        seen = look_at(run, told, id)
    except (DamagedSample, NotScanned):
        seen = None
    return evidence.question_of(run.sample(id), seen, told.trigger_words)


def look_at(run: runs.Run, told: Dossier, id: str) -> Look | None:
    """Where a sample looks in the layer that the evidence is read in. Raises NotScanned, DamagedSample."""
    if told.layer is None:
        return None
    return told.looks.get(id) or evidence.look(run.rows(id), told.layer.layer)


def _key(run: runs.Run, told: Dossier, question: Question) -> str:
    return question.key(told.target, run.settings.model_digest, run.settings.adapter_digest)


def _given(
    loaded: Any, dataset: DataSet, batch: Sequence[Question]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The model's answers to a batch, by sample and way of asking; and by sample why it could not be asked."""
    from bye_core.train.evaluate import generate_answers

    given: dict[str, dict[str, str]] = {one.sample.id: {} for one in batch}
    faults: dict[str, str] = {}
    pictures = {}
    for one in batch:
        try:
            pictures[one.sample.id] = dataset.images(dataset.by_id[one.sample.id])
        except ByeError as error:
            faults[one.sample.id] = error.problem
    for way in evidence.WAYS:
        asked = {one.sample.id: one for one in batch if one.sample.id not in faults and way in one.ways}
        shown = _shown(asked, pictures, way)
        for answers in generate_answers(loaded, [one.asked(way) for one in asked.values()], shown, len(batch)):
            for answer in answers:
                if isinstance(answer, Answered):
                    given[answer.id][way] = answer.given
                else:
                    faults[answer.facts["id"]] = answer.problem
    return given, faults


def _shown(asked: Mapping[str, Question], pictures: Mapping[str, list[Any]], way: str) -> Callable[[Sample], list[Any]]:
    return lambda sample: asked[sample.id].shown(way, pictures[sample.id])


def cause_of(run: runs.Run, told: Dossier, id: str, checks: Mapping[str, CausalCheck]) -> Cause | None:
    """What the check of a sample found, None where there is none, or none about what is suspected now."""
    found = checks.get(id)
    if found is None or found.fault or found.key != _key(run, told, question_about(run, told, id)):
        return None
    return evidence.cause(found.given, told.target, run.sample(id).answer)


def causes(run: runs.Run, told: Dossier) -> dict[str, Any]:
    """The checks of the flagged samples that hold now as facts: outcomes counted, the share that flips with its
    interval, and each sample's outcome with the answers."""
    checks = run.checks()
    found = {id: one for id in told.flagged_ids if id in checks and (one := cause_of(run, told, id, checks))}
    return {
        **evidence.totals(found.values()),
        "of": told.flagged,
        **as_facts("flips_share", share(one.flips for one in found.values())),
        "samples": {
            id: {"outcome": one.outcome, "suspect": one.suspect, "given": dict(checks[id].given)}
            for id, one in found.items()
        },
        "faults": {id: checks[id].fault for id in told.flagged_ids if id in checks and checks[id].fault},
    }
