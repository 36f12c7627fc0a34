"""Covers more of an image until the answer is no longer the target, then uncovers the parts that are not needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bye_core.evidence import (
    COVERED,
    COVERED_CONTROL,
    GROWN,
    GROWN_CONTROL,
    MOST_COVERED_AT_FIRST,
    ROUNDS,
    Spots,
    SpotTrimming,
    area,
    control_spots,
    find_peak,
    grow_spots,
)
from bye_core.pipeline.causal.scanned_model import SampleCheck, ScannedModel
from bye_core.records import AttentionRows


def grow_occlusion(checks: Sequence[SampleCheck], model: ScannedModel, layer: int) -> None:
    """Cover, round by round, the cells that each sample attends to in `layer` while its earlier spots are covered.

    In each check, the answer is still the target with the suspected spot covered. If the answer changes, the model is
    also asked with an equal area covered elsewhere (control occlusion). A sample without an answer, or without
    attended cells left to cover, keeps its earlier results.
    """
    flipped: list[SampleCheck] = []
    for _ in range(ROUNDS - 1):
        checks = _cover_more(checks, model, layer)
        silent = model.ask(checks, COVERED, GROWN)
        answered = [check for check in checks if check.id not in silent]
        flipped += [check for check in answered if not check.at_target(check.answers[GROWN])]
        checks = [check for check in answered if check.at_target(check.answers[GROWN])]
    _trim([check for check in flipped if not check.intervention.control_spots], model)
    model.ask([check for check in flipped if check.intervention.control_spots], COVERED_CONTROL, GROWN_CONTROL)


def _cover_more(checks: Sequence[SampleCheck], model: ScannedModel, layer: int) -> list[SampleCheck]:
    """Cover one more spot or a larger spot in each image; return the checks for which this was possible."""
    grown = []
    for check, rows in zip(checks, model.attention(checks), strict=True):
        seen = find_peak(rows, layer) if isinstance(rows, AttentionRows) else None
        if seen is None or seen.image != check.intervention.image or seen.on_padding:
            continue
        spots = grow_spots(check.intervention.spots, seen)
        if area(spots) <= MOST_COVERED_AT_FIRST:
            left, top, right, bottom = seen.cell
            check.cell = (right - left, bottom - top)
            _cover(check, spots)
            grown.append(check)
    return grown


def _trim(checks: Sequence[SampleCheck], model: ScannedModel) -> None:
    """Shrink covers that are too large for a control occlusion, as long as the answer differs from the target."""
    trimmings = {check.id: SpotTrimming(check.intervention.spots, check.cell, _fits(check)) for check in checks}
    answers = {check.id: check.answers[GROWN] for check in checks}
    trying = list(checks)
    while trying:
        trying = [check for check in trying if _cover_proposal(check, trimmings[check.id])]
        silent = model.ask(trying, COVERED, GROWN)
        for check in trying:
            works = check.id not in silent and not check.at_target(check.answers[GROWN])
            if works:
                answers[check.id] = check.answers[GROWN]
            trimmings[check.id].record(works)
    for check in checks:
        _cover(check, trimmings[check.id].spots)
        check.answers[GROWN] = answers[check.id]


def _cover_proposal(check: SampleCheck, trimming: SpotTrimming) -> bool:
    """Cover the spots that the trimming proposes; return False if it has no further proposal."""
    if trimming.proposal is None:
        return False
    check.intervention = check.intervention.with_spots(trimming.proposal, ())
    return True


def _fits(check: SampleCheck) -> Callable[[Spots], bool]:
    return lambda spots: control_spots(spots, check.id) is not None


def _cover(check: SampleCheck, spots: Spots) -> None:
    check.intervention = check.intervention.with_spots(spots, control_spots(spots, check.id) or ())
