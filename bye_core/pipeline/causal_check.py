"""Runs the causal check: asks the scanned model again with the suspected spot covered or suspected words removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bye_core import runs
from bye_core.pipeline.causal import CausalTests, SampleCheck
from bye_core.pipeline.causal_outcomes import check_key, has_valid_check, intervention_for
from bye_core.pipeline.check import reopen_set
from bye_core.pipeline.evidence import dossier
from bye_core.pipeline.export import check_unchanged
from bye_core.pipeline.scan import BATCH, check_scanned, scanned_source
from bye_core.pipeline.tasks import chunks
from bye_core.records import CausalCheck, Progress
from bye_core.workers import ONE_PROCESS, WorkerSettings, open_model


def check_causes(
    run_path: Path,
    model: str | None = None,
    adapter: str | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    ids: Sequence[str] | None = None,
    workers: WorkerSettings = ONE_PROCESS,
) -> Iterator[Progress]:
    """Check every flagged sample, or the samples in `ids`, and save the answers in the run before each yield.

    Skips samples that were checked before. `model`, `adapter`, `data`: their current paths, if they have moved. If the
    model cannot be asked about a sample, the reason is saved instead. `workers`: where the model runs.

    Raises: NothingDetected if the run has no detection; RunBusy if another process checks the run; RunMismatch if the
    data set has changed; AnotherModel if `model` or `adapter` is not the scanned one (only after loading it).
    """
    run = runs.Run.open(run_path)
    evidence = dossier(run)
    dataset = reopen_set(run.settings, data)
    check_unchanged(run, dataset)
    interventions = [intervention_for(run, evidence, id) for id in (evidence.flagged_ids if ids is None else ids)]
    with run.checking() as file:
        known = run.checks()
        todo = [
            intervention
            for intervention in interventions
            if not has_valid_check(run, evidence, intervention, known.get(intervention.sample.id))
        ]
        total, done, failed = len(interventions), len(interventions) - len(todo), 0
        yield _progress(done, total, failed)
        if not todo:
            return
        source = scanned_source(run, model, adapter, device)
        with open_model(source, workers) as runner:
            check_scanned(run, runner.facts.identity, source)
            size = BATCH[runner.facts.device]
            tests = CausalTests(runner, dataset, evidence, size)
            for several in chunks(list(chunks(todo, size)), runner.width):
                for batch, results in zip(several, tests.run(several), strict=True):
                    # The key describes the planned intervention; the tests may have covered more.
                    keys = [check_key(run, evidence, planned) for planned in batch]
                    file.append([_saved(key, result) for key, result in zip(keys, results, strict=True)])
                    done, failed = done + len(batch), failed + sum(bool(result.fault) for result in results)
                    yield _progress(done, total, failed)


def _saved(key: str, check: SampleCheck) -> CausalCheck:
    return CausalCheck(check.id, key, check.answers, check.fault, check.intervention.spots, check.inserted)


def _progress(done: int, total: int, failed: int) -> Progress:
    return Progress("evidence", done, total, facts={"failed": failed})
