"""The causal check: the scanned model asked again, with the suspected spot covered or the suspected words left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bye_core import runs
from bye_core.pipeline.check import ready
from bye_core.pipeline.evidence import check_key, dossier, question_about
from bye_core.pipeline.export import check_unchanged
from bye_core.pipeline.scan import BATCH, load_scanned
from bye_core.records import CausalCheck, Progress


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
            if found is None or found.fault or found.key != check_key(run, told, question):
                todo.append(question)
        yield _progress(len(wanted) - len(todo), len(wanted), 0)
        if not todo:
            return
        from bye_core.pipeline.causal import CausalTests

        loaded = load_scanned(run, model, adapter, device)
        size, failed = BATCH[loaded.device.type], 0
        tests = CausalTests(loaded, dataset, told, size)
        for start in range(0, len(todo), size):
            batch = todo[start : start + size]
            asked = tests.run(batch)
            file.append(
                [
                    CausalCheck(
                        one.sample.id,
                        check_key(run, told, about),
                        one.answers,
                        one.fault,
                        one.intervention.spots,
                        one.inserted,
                    )
                    for about, one in zip(batch, asked, strict=True)
                ]
            )
            failed += sum(bool(one.fault) for one in asked)
            yield _progress(len(wanted) - len(todo) + start + len(batch), len(wanted), failed)


def _progress(done: int, total: int, failed: int) -> Progress:
    return Progress("evidence", done, total, facts={"failed": failed})
