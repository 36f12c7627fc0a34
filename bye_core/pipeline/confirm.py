"""Confirms a detection: asks the model before and after fine-tuning about a few samples of each finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bye_core import runs
from bye_core.data import DataSet
from bye_core.detect.limitations import limited
from bye_core.errors import ByeError, RunError
from bye_core.evidence import CONDITIONS, Intervention
from bye_core.evidence.confirmation import CONFIRMED, confirmation_sentence, judge_confirmation
from bye_core.model_protocol import VisionLanguageModel
from bye_core.pipeline.causal_outcomes import intervention_for
from bye_core.pipeline.check import reopen_set
from bye_core.pipeline.detect import last_detection
from bye_core.pipeline.evidence import dossier
from bye_core.pipeline.export import check_unchanged
from bye_core.pipeline.scan import BATCH, load_scanned, scanned_before
from bye_core.records import POISONED, Detection, Finding, Progress
from bye_core.workers import InProcess

# Suspects are flagged if at least this number and this share of those that were asked about are confirmed (ours). Of
# ordinary samples, the causal check confirms fewer than one of 50.
LEAST, LEAST_SHARE = 3, 0.5


class NothingBefore(RunError):
    problem = "The run {path} was scanned without an adapter, so the model before fine-tuning is not known."
    remedy = (
        "Scan with the base model as --model and your fine-tune as --adapter, or with the fully fine-tuned model as "
        "--model and the base model as --before. Then detect with --confirm."
    )


def confirm_detection(
    run_path: Path,
    count: int,
    model: str | None = None,
    adapter: str | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    before: str | None = None,
) -> Iterator[Progress]:
    """Test up to `count` samples of each finding and of the suspects; save the outcome in the run's detection.

    The outcome is added to the reasons. Suspects become a finding if enough of them are confirmed. A finding remains
    whatever the outcome: a trigger that covers the whole image has no spot to cover.
    `model`, `adapter`, `data`, `before`: their current paths, if they have moved.

    Raises: NothingDetected if the run has no detection; NothingBefore if the model before fine-tuning is not known;
    RunMismatch if the data set has changed; AnotherModel if the model or adapter is not the scanned one.
    """
    run = runs.Run.open(run_path)
    detection = last_detection(run)
    if not run.settings.knows_before:
        raise NothingBefore(path=run_path)
    groups = [finding.ids[:count] for finding in detection.findings] + [detection.suspects[:count]]
    total, done = sum(map(len, groups)), 0
    yield Progress("confirm", 0, total)
    if not total:
        return
    dataset = reopen_set(run.settings, data)
    check_unchanged(run, dataset)
    loaded = load_scanned(run, model, adapter, device, before=scanned_before(run, before))
    outcomes: list[list[str]] = []
    for ids in groups:
        planned = _interventions(run, detection, ids)
        outcomes.append([])
        for start in range(0, len(planned), BATCH[loaded.device.type]):
            batch = planned[start : start + BATCH[loaded.device.type]]
            outcomes[-1] += _outcomes(loaded, dataset, batch)
            done += len(batch)
            yield Progress("confirm", done, total, facts={"confirmed": sum(o.count(CONFIRMED) for o in outcomes)})
    run.save_detection(with_outcomes(detection, outcomes))


def _interventions(run: runs.Run, detection: Detection, ids: Sequence[str]) -> list[Intervention]:
    """Plan what to cover or remove in the samples `ids`, with the evidence on these samples alone."""
    if not ids:
        return []
    chosen = set(ids)
    group = replace(detection, flagged=np.array([id in chosen for id in detection.ids], bool))
    evidence = dossier(run, group)
    return [intervention_for(run, evidence, id) for id in ids]


def _outcomes(loaded: VisionLanguageModel, dataset: DataSet, planned: Sequence[Intervention]) -> list[str]:
    """Ask the tuned model under every condition and the model before fine-tuning once; drop samples that fail."""
    from bye_core.pipeline.causal.scanned_model import SampleCheck, ScannedModel

    model = ScannedModel(InProcess(loaded), len(planned))
    checks = []
    for intervention in planned:
        check = SampleCheck(intervention, None)
        try:
            check.images = dataset.images(dataset.by_id[check.id])
        except ByeError:
            continue  # the sentence gives the number of samples that were checked
        checks.append(check)
    for condition in CONDITIONS:
        model.ask([check for check in checks if condition in check.intervention.conditions], condition)
    images = {check.id: check.images for check in checks}
    with loaded.before_fine_tuning() as earlier:
        before, _ = ScannedModel(InProcess(earlier), len(planned)).answers(
            [check.sample for check in checks], lambda sample: images[sample.id]
        )
    return [judge_confirmation(check.answers, before[check.id]) for check in checks if check.id in before]


def with_outcomes(detection: Detection, outcomes: Sequence[Sequence[str]]) -> Detection:
    """Return the detection with the outcomes: one list for each finding, then one for the suspects."""
    *of_findings, of_suspects = outcomes
    findings = [
        replace(finding, reasons=(*finding.reasons, confirmation_sentence(own))) if own else finding
        for finding, own in zip(detection.findings, of_findings, strict=True)
    ]
    reasons = [finding.reasons[-1] for finding, own in zip(findings, of_findings, strict=True) if own]
    sentence = [confirmation_sentence(of_suspects)] if of_suspects else []
    confirmed = of_suspects.count(CONFIRMED)
    flagged, scores, suspects = detection.flagged, detection.scores, detection.suspects
    if confirmed >= max(LEAST, LEAST_SHARE * len(of_suspects)):
        chosen = set(suspects)
        added = np.array([id in chosen for id in detection.ids], bool)
        flagged, scores = flagged | added, np.where(added, np.maximum(scores, 0.5 + scores / 2), scores)
        findings.append(Finding("Suspects that the causal check confirms", suspects, tuple(sentence)))
        suspects = ()
    confirmed_detection = replace(
        detection,
        flagged=flagged,
        scores=scores,
        verdict=POISONED if flagged.any() else detection.verdict,
        findings=tuple(findings),
        suspects=suspects,
        reasons=(*detection.reasons, *reasons, *sentence),
    )
    return limited(confirmed_detection, ())
