"""The causal check: the scanned model asked again, with the suspected spot covered or the suspected words left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bye_core import evidence, runs
from bye_core.evidence import Box, Cause, Dossier, Look, Question
from bye_core.pipeline.dossiers import dossier
from bye_core.pipeline.exporting import check_unchanged
from bye_core.pipeline.scanned import load_scanned
from bye_core.pipeline.scanning import BATCH
from bye_core.pipeline.sets import ready
from bye_core.records import CausalCheck, Progress
from bye_core.runs.errors import DamagedSample, NotScanned
from bye_core.train.measures import as_facts, share


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
        if not todo:
            return
        from bye_core.pipeline.asking import Asker

        loaded = load_scanned(run, model, adapter, device)
        size, failed = BATCH[loaded.device.type], 0
        asker = Asker(loaded, dataset, told, size)
        for start in range(0, len(todo), size):
            batch = todo[start : start + size]
            asked = asker.ask(batch)
            file.append(
                [
                    CausalCheck(
                        one.sample.id, _key(run, told, about), one.given, one.fault, one.question.spots, one.carried
                    )
                    for about, one in zip(batch, asked, strict=True)
                ]
            )
            failed += sum(bool(one.fault) for one in asked)
            yield _progress(len(wanted) - len(todo) + start + len(batch), len(wanted), failed)


def _progress(done: int, total: int, failed: int) -> Progress:
    return Progress("evidence", done, total, facts={"failed": failed})


def question_about(run: runs.Run, told: Dossier, id: str) -> Question:
    """How a causal check asks about a sample. Rows that cannot be read leave no spot to cover."""
    try:
        seen = look_at(run, told, id)
    except (DamagedSample, NotScanned):
        seen = None
    carriers = told.carriers.of(id) if told.carriers else ()
    return evidence.question_of(run.sample(id), seen, told.trigger_words, carriers)


def look_at(run: runs.Run, told: Dossier, id: str) -> Look | None:
    """Where a sample looks in the layer that the evidence is read in. Raises NotScanned, DamagedSample."""
    if told.layer is None:
        return None
    return told.looks.get(id) or evidence.look(run.rows(id), told.layer.layer)


def _key(run: runs.Run, told: Dossier, question: Question) -> str:
    return question.key(told.target, run.settings.model_digest, run.settings.adapter_digest)


def cause_of(run: runs.Run, told: Dossier, id: str, checks: Mapping[str, CausalCheck]) -> Cause | None:
    """What the check of a sample found, None where there is none, or none about what is suspected now."""
    found = checks.get(id)
    if found is None or found.fault or found.key != _key(run, told, question_about(run, told, id)):
        return None
    return evidence.cause(found.given, told.target, run.sample(id).answer, found.carried)


def proved(found: Mapping[str, Any]) -> dict[str, Sequence[Box]]:
    """Of what `causes` says: what was covered of each sample whose answer that brings about, where it is not the spot
    that the sample looks at."""
    return {
        id: one["covered"]
        for id, one in found["samples"].items()
        if one["outcome"] == "flips" and one["suspect"] in evidence.MANY
    }


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
            id: {
                "outcome": one.outcome,
                "suspect": one.suspect,
                "given": dict(checks[id].given),
                "covered": checks[id].covered,
                "carried": dict(checks[id].carried),
            }
            for id, one in found.items()
        },
        "faults": {id: checks[id].fault for id in told.flagged_ids if id in checks and checks[id].fault},
    }
