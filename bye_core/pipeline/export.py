"""Exports the cleaned data set of a run, or its entropies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bye_core import detect, runs
from bye_core.data import DataSet, export
from bye_core.pipeline.check import reopen_set
from bye_core.records import Decision, Detection, Sample
from bye_core.sample_file import ids_of, indices_of


@dataclass(frozen=True)
class ExportPlan:
    """Which records an export keeps and removes.

    keep       ids of the samples that are exported, in data set order
    removed    rows of removed.jsonl, each with the `reason` of its removal
    undecided  ids in `keep` that the last detection flagged and nobody has decided on
    accepted   ids in `keep` that the last detection flagged and a person accepted
    unscanned  ids of records without an image, which cannot be scanned and are exported too
    """

    keep: tuple[str, ...]
    removed: tuple[dict[str, Any], ...]
    undecided: tuple[str, ...]
    accepted: tuple[str, ...]
    unscanned: tuple[str, ...] = ()


def plan_export(run: runs.Run, dataset: DataSet, drop_unscanned: bool = False) -> ExportPlan:
    """Plan to keep every usable sample that is not rejected; samples that were not scanned only if accepted.

    Records without an image are kept unless `drop_unscanned` is set. Every record is kept or removed, once.
    """
    detection, decisions = run.detection(), run.decisions()
    unscanned = () if drop_unscanned else dataset.text_only
    gone_rows = (*_removed_samples(run, dataset, detection, decisions), *unusable_rows(dataset, unscanned))
    removed = tuple(sorted(gone_rows, key=lambda row: row["index"]))
    # By index, not by id: a duplicate's fault has the same id as the valid first record.
    gone = {row["index"] for row in removed}
    rows = zip(ids_of(dataset.samples), indices_of(dataset.samples), strict=True)
    keep = tuple(id for id, index in rows if index not in gone)
    flagged = set(detection.flagged_ids if detection else ())
    undecided = tuple(id for id in keep if id in flagged and id not in decisions)
    accepted = tuple(id for id in keep if id in flagged and id in decisions)
    return ExportPlan(keep, removed, undecided, accepted, ids_of(unscanned))


def unusable_rows(dataset: DataSet, unscanned: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """Yield the rows of removed.jsonl for the records that cannot be used, except `unscanned`, which are kept."""
    kept, text_only = set(indices_of(unscanned)), set(indices_of(dataset.text_only))
    for fault in dataset.faults:
        if fault.fatal and fault.index not in kept:
            reason = (
                "not scanned: the record names no image" if fault.index in text_only else f"unusable: {fault.problem}"
            )
            yield {"id": fault.id, "index": fault.index, "reason": reason, "faults": list(fault.kinds)}


def check_unchanged(run: runs.Run, dataset: DataSet) -> None:
    """Raise RunMismatch if `dataset` differs from the data set that was scanned."""
    if dataset.digest != run.settings.data_digest:
        raise runs.RunMismatch(path=run.path, differences="the data set has changed since the scan")


def export_run(
    run_path: Path,
    out: Path,
    format: str = "same",
    data: str | Path | None = None,
    drop_unscanned: bool = False,
) -> dict[str, Any]:
    """Write the cleaned data set that `plan_export` plans, with removed.jsonl and manifest.json; return the manifest.

    `data`: the current path of the data set, if it has moved. In the manifest's counts, `records` is the sum of `kept`
    and `removed`; `undecided_flagged` is the number of flagged samples that are kept because nobody has decided on
    them, and `kept_unscanned` the number of records without an image that are kept.
    """
    run = runs.Run.open(run_path)
    dataset = reopen_set(run.settings, data)
    check_unchanged(run, dataset)
    plan, detection = plan_export(run, dataset, drop_unscanned), run.detection()
    manifest = {
        "counts": {"undecided_flagged": len(plan.undecided)},
        "run": _without_paths(run.settings),
        "detection": None
        if detection is None
        else {"method": detection.method, "settings": dict(detection.settings), "verdict": detection.verdict},
    }
    return export(dataset, plan.keep, plan.removed, out, format, manifest, plan.unscanned)


def _without_paths(settings: runs.RunSettings) -> dict[str, Any]:
    """Return the settings of a run without the paths of this machine."""
    paths = ("model", "adapter", "before", "data")
    record = {name: value for name, value in settings.record().items() if name not in paths}
    more = {name: value for name, value in record["more"].items() if name not in ("folder", "relative")}
    return record | {"more": more}


def _removed_samples(
    run: runs.Run, dataset: DataSet, detection: Detection | None, decisions: Mapping[str, Decision]
) -> Iterator[dict[str, Any]]:
    # Only samples that somebody rejected have their score in the list.
    scores = {
        id: float(score)
        for id, score in zip(*((detection.ids, detection.scores) if detection else ((), ())), strict=True)
        if id in decisions
    }
    flagged = set(detection.flagged_ids) if detection else set()
    layers = list(detection.sensitive_layers) if detection else []
    scored, failed = run.scored_ids(), {fault.id: fault for fault in run.failed()}
    for id, index in zip(ids_of(dataset.samples), indices_of(dataset.samples), strict=True):
        decision = decisions.get(id)
        if decision and decision.choice == "reject":
            reason = "flagged and rejected" if id in flagged else "rejected by hand"
            yield {
                "id": id,
                "index": index,
                "reason": reason,
                "score": scores.get(id),
                "layers": layers if id in flagged else [],
                "decision": decision.choice,
                "reviewer": decision.reviewer,
                "note": decision.note,
                "time": decision.time,
            }
        elif id not in scored and not (decision and decision.choice == "accept"):
            fault = failed.get(id)
            reason = f"not scanned: {fault.problem if fault else 'the scan has not reached it'}"
            yield {"id": id, "index": index, "reason": reason, **({"faults": list(fault.kinds)} if fault else {})}


def export_entropies(run_path: Path, out: Path) -> Path:
    """Write a run's entropies as JSON lines, in the format of the BYE authors' code; return the path."""
    return detect.write_entropies(runs.Run.open(run_path).table(), out)
