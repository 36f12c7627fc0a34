"""Exports the cleaned data set of a run, or its entropies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bye_core import detect, runs
from bye_core.data import DataSet, export
from bye_core.pipeline.check import reopen_set
from bye_core.records import Decision, Detection


@dataclass(frozen=True)
class ExportPlan:
    """Which records an export keeps and removes.

    keep       ids of the samples that are exported, in data set order
    removed    rows of removed.jsonl, each with the `reason` of its removal
    undecided  ids in `keep` that the last detection flagged and nobody has decided on
    accepted   ids in `keep` that the last detection flagged and a person accepted
    """

    keep: tuple[str, ...]
    removed: tuple[dict[str, Any], ...]
    undecided: tuple[str, ...]
    accepted: tuple[str, ...]


def plan_export(run: runs.Run, dataset: DataSet) -> ExportPlan:
    """Plan to keep every usable sample that is not rejected; samples that were not scanned only if accepted."""
    detection, decisions = run.detection(), run.decisions()
    removed = tuple(_removed(run, dataset, detection, decisions))
    # By index, not by id: a duplicate's fault has the same id as the valid first record.
    gone = {row["index"] for row in removed}
    keep = tuple(sample.id for sample in dataset.samples if sample.index not in gone)
    flagged = set(detection.flagged_ids if detection else ())
    undecided = tuple(id for id in keep if id in flagged and id not in decisions)
    accepted = tuple(id for id in keep if id in flagged and id in decisions)
    return ExportPlan(keep, removed, undecided, accepted)


def check_unchanged(run: runs.Run, dataset: DataSet) -> None:
    """Raise RunMismatch if `dataset` differs from the data set that was scanned."""
    if dataset.digest != run.settings.data_digest:
        raise runs.RunMismatch(path=run.path, differences="the data set has changed since the scan")


def export_run(run_path: Path, out: Path, format: str = "same", data: str | Path | None = None) -> dict[str, Any]:
    """Write the cleaned data set that `plan_export` plans, with removed.jsonl and manifest.json; return the manifest.

    `data`: the current path of the data set, if it has moved. `undecided_flagged` in the manifest is the number of
    flagged samples that are kept because nobody has decided on them.
    """
    run = runs.Run.open(run_path)
    dataset = reopen_set(run.settings, data)
    check_unchanged(run, dataset)
    plan, detection = plan_export(run, dataset), run.detection()
    manifest = {
        "counts": {"undecided_flagged": len(plan.undecided)},
        "run": _without_paths(run.settings),
        "detection": None
        if detection is None
        else {"method": detection.method, "settings": dict(detection.settings), "verdict": detection.verdict},
    }
    return export(dataset, plan.keep, plan.removed, out, format, manifest)


def _without_paths(settings: runs.RunSettings) -> dict[str, Any]:
    """Return the settings of a run without the paths of this machine."""
    record = {name: value for name, value in settings.record().items() if name not in ("model", "adapter", "data")}
    more = {name: value for name, value in record["more"].items() if name not in ("folder", "relative")}
    return record | {"more": more}


def _removed(
    run: runs.Run, dataset: DataSet, detection: Detection | None, decisions: Mapping[str, Decision]
) -> Iterator[dict[str, Any]]:
    scores = dict(zip(detection.ids, detection.scores.tolist(), strict=True)) if detection else {}
    flagged = set(detection.flagged_ids) if detection else set()
    layers = list(detection.sensitive_layers) if detection else []
    scored, failed = run.scored_ids(), {fault.id: fault for fault in run.failed()}
    for sample in dataset.samples:
        decision, row = decisions.get(sample.id), {"id": sample.id, "index": sample.index}
        if decision and decision.choice == "reject":
            reason = "flagged and rejected" if sample.id in flagged else "rejected by hand"
            yield {
                **row,
                "reason": reason,
                "score": scores.get(sample.id),
                "layers": layers if sample.id in flagged else [],
                "decision": decision.choice,
                "reviewer": decision.reviewer,
                "note": decision.note,
                "time": decision.time,
            }
        elif sample.id not in scored and not (decision and decision.choice == "accept"):
            fault = failed.get(sample.id)
            yield {**row, "reason": f"not scanned: {fault.problem if fault else 'the scan has not reached it'}"}
    for fault in dataset.faults:
        if fault.fatal:
            yield {"id": fault.id, "index": fault.index, "reason": f"unusable: {fault.problem}"}


def export_entropies(run_path: Path, out: Path) -> Path:
    """Write a run's entropies as JSON lines, in the format of the BYE authors' code; return the path."""
    return detect.write_entropies(runs.Run.open(run_path).table(), out)
