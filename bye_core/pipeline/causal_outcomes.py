"""Plans the causal check of a sample, and reads the outcomes of the checks that a run holds. Needs no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bye_core import runs
from bye_core.evidence import (
    SEVERAL_SPOTS,
    AttentionPeak,
    Box,
    CausalOutcome,
    Dossier,
    Intervention,
    count_outcomes,
    find_peak,
    judge_outcome,
    plan_intervention,
)
from bye_core.intervals import as_facts, proportion
from bye_core.records import CausalCheck
from bye_core.runs.errors import DamagedSample, NotScanned


def intervention_for(run: runs.Run, dossier: Dossier, id: str) -> Intervention:
    """Return what a causal check of the sample changes. A sample whose rows cannot be read has no spot to cover."""
    try:
        peak = sample_peak(run, dossier, id)
    except (DamagedSample, NotScanned):
        peak = None
    recipients = dossier.recipients.draw(id) if dossier.recipients else ()
    return plan_intervention(run.sample(id), peak, dossier.trigger_words, recipients)


def sample_peak(run: runs.Run, dossier: Dossier, id: str) -> AttentionPeak | None:
    """Return the sample's attention peak in the dossier's layer. Raises: NotScanned, DamagedSample."""
    if dossier.layer is None:
        return None
    return dossier.peaks.get(id) or find_peak(run.rows(id), dossier.layer.layer)


def check_key(run: runs.Run, dossier: Dossier, intervention: Intervention) -> str:
    """Return the key of a check: another intervention, target or model has another key."""
    return intervention.key(dossier.target, run.settings.model_digest, run.settings.adapter_digest)


def has_valid_check(run: runs.Run, dossier: Dossier, intervention: Intervention, check: CausalCheck | None) -> bool:
    """Return whether `check` was made with this very intervention, and the model could be asked."""
    return check is not None and not check.fault and check.key == check_key(run, dossier, intervention)


def outcome_of(run: runs.Run, dossier: Dossier, id: str, checks: Mapping[str, CausalCheck]) -> CausalOutcome | None:
    """Return the outcome of a sample's check, None where it has no check of what is suspected now."""
    if id not in checks or not has_valid_check(run, dossier, intervention_for(run, dossier, id), checks[id]):
        return None
    return judge_outcome(checks[id].given, dossier.target, run.sample(id).answer, checks[id].carried)


def causal_outcomes(run: runs.Run, dossier: Dossier) -> dict[str, Any]:
    """Return the valid checks of the flagged samples as facts.

    They hold the count of every outcome, the share that flips with its interval, each sample's outcome with the
    answers, and the faults.
    """
    checks = run.checks()
    flagged = [id for id in dossier.flagged_ids if id in checks]
    outcomes = {id: outcome for id in flagged if (outcome := outcome_of(run, dossier, id, checks))}
    return {
        **count_outcomes(outcomes.values()),
        "of": dossier.flagged,
        **as_facts("flips_share", proportion(outcome.flips for outcome in outcomes.values())),
        "samples": {
            id: {
                "outcome": outcome.outcome,
                "suspect": outcome.suspect,
                "given": dict(checks[id].given),
                "covered": checks[id].covered,
                "carried": dict(checks[id].carried),
            }
            for id, outcome in outcomes.items()
        },
        "faults": {id: checks[id].fault for id in flagged if checks[id].fault},
    }


def trigger_regions(outcomes: Mapping[str, Any]) -> dict[str, Sequence[Box]]:
    """Return, by sample id, the regions that bring the target about, where they are not the attention peak's spot.

    `outcomes` is what `causal_outcomes` returns.
    """
    return {
        id: sample["covered"]
        for id, sample in outcomes["samples"].items()
        if sample["outcome"] == "flips" and sample["suspect"] in SEVERAL_SPOTS
    }
