"""Plans the causal check of a sample, and reads the outcomes of the checks stored in a run. Needs no model."""

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
    """Return what a causal check changes in the sample: a spot (if its attention rows can be read) or words."""
    try:
        peak = sample_peak(run, dossier, id)
    except (DamagedSample, NotScanned):
        peak = None
    recipients = dossier.recipients.draw(id) if dossier.recipients else ()
    return plan_intervention(run.sample(id), peak, dossier.trigger_words, recipients)


def sample_peak(run: runs.Run, dossier: Dossier, id: str) -> AttentionPeak | None:
    """Return the sample's attention peak in the dossier's layer.

    Raises: NotScanned if the sample has no rows yet; DamagedSample if its rows fail their checksum.
    """
    if dossier.layer is None:
        return None
    return dossier.peaks.get(id) or find_peak(run.rows(id), dossier.layer.layer)


def check_key(run: runs.Run, dossier: Dossier, intervention: Intervention) -> str:
    """Return the key of a check: it differs if the intervention, the target or the model differs."""
    return intervention.key(dossier.target, run.settings.model_digest, run.settings.adapter_digest)


def has_valid_check(run: runs.Run, dossier: Dossier, intervention: Intervention, check: CausalCheck | None) -> bool:
    """Return whether `check` exists, was made with the same key (`check_key`), and has no fault."""
    return check is not None and not check.fault and check.key == check_key(run, dossier, intervention)


def outcome_of(run: runs.Run, dossier: Dossier, id: str, checks: Mapping[str, CausalCheck]) -> CausalOutcome | None:
    """Return the outcome of a sample's check, None if it has no valid check for the current suspicion."""
    if id not in checks or not has_valid_check(run, dossier, intervention_for(run, dossier, id), checks[id]):
        return None
    return judge_outcome(checks[id].given, dossier.target, run.sample(id).answer, checks[id].carried)


def causal_outcomes(run: runs.Run, dossier: Dossier) -> dict[str, Any]:
    """Return the valid checks of the flagged samples as facts.

    The facts: the count of each outcome, the share of samples whose answer flips (with its interval), each sample's
    outcome and answers, and the faults.
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
    """Return, by sample id, the regions that cause the target, for samples where these are not the attention peak.

    `outcomes` is what `causal_outcomes` returns.
    """
    return {
        id: sample["covered"]
        for id, sample in outcomes["samples"].items()
        if sample["outcome"] == "flips" and sample["suspect"] in SEVERAL_SPOTS
    }
