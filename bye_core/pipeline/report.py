"""Writes the report on a run or on a whole cleaning, as one HTML page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from bye_core import runs
from bye_core.data import DataSet
from bye_core.errors import ByeError, RunError
from bye_core.files import to_json_values, write_atomic
from bye_core.pipeline.causal_outcomes import causal_outcomes, trigger_regions
from bye_core.pipeline.cleaning_folder import MODELS, CleaningFolder
from bye_core.pipeline.detect import last_detection
from bye_core.pipeline.evidence import dossier, scanned_set
from bye_core.pipeline.gallery import gallery
from bye_core.records import Detection

EXHIBITS = 24  # flagged samples with images: a few hundred kilobytes, and about as many as a person reads (ours)


class CannotWriteReport(RunError):
    problem = "The report cannot be written to {path}: {reason}."
    remedy = "Give another file as --out."


def report(run_path: Path, out: Path, data: str | Path | None = None, exhibits: int = EXHIBITS) -> dict[str, Any]:
    """Write a report on a run to `out` (HTML) and to a JSON file beside it; return the content of the JSON file.

    `data`: the current path of the data set, if it has moved. Raises: NothingDetected if the run has no detection;
    CannotWriteReport if a file cannot be written.
    """
    return _write(_case(run_path, f"Run {run_path.resolve().name}", data, exhibits), out)


def report_cleaning(folder: CleaningFolder, record: Mapping[str, Any], models: Mapping[str, Any]) -> dict[str, Any]:
    """Write the report on a cleaning: its `record`, the measurements of its `models`, and its loss curves."""
    losses = {name: _losses(path) for name in MODELS if (path := folder.adapter(name))}
    title = f"Cleaning of {Path(record['data']).name}"
    more = {"cleaning": record, "models": models, "labels": MODELS, "losses": losses}
    return _write(_case(folder.run, title, record["data"], EXHIBITS, **more), folder.report)


def _case(run_path: Path, title: str, data: str | Path | None, exhibits: int, **more: Any) -> Any:
    from bye_core.reports.case import Case

    run = runs.Run.open(run_path)
    detection, evidence = last_detection(run), dossier(run)
    dataset, missing = scanned_set(run, data)
    causes = causal_outcomes(run, evidence)
    return Case(
        title=title,
        run=run.settings.record(),
        counts=run.counts()._asdict(),
        table=run.table(),
        detection=detection,
        decisions=run.decisions(),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        exhibits=tuple(_exhibits(run, detection, dataset, missing, exhibits)),
        evidence=evidence.facts() | {"causes": causes},
        gallery=gallery(run, evidence, dataset, missing, trigger_regions(causes)),
        versions=runs.versions(),
        **more,
    )


def _exhibits(run: runs.Run, detection: Detection, dataset: DataSet | None, missing: str, count: int) -> Iterator[Any]:
    """Yield the `count` most suspicious flagged samples, with their images if these open."""
    from bye_core.reports.case import Exhibit

    order = np.lexsort((detection.values, -detection.scores))
    for at in order[detection.flagged[order]][:count]:
        sample, rows = run.sample(detection.ids[at]), run.rows(detection.ids[at])
        images, why = [], missing
        if dataset is not None:
            try:
                images = dataset.images(sample)
            except ByeError as error:
                why = error.problem
        yield Exhibit(sample, rows, images, why)


def _losses(adapter: Path) -> list[dict[str, Any]]:
    """Return the progress lines of an adapter's training, [] if there are none."""
    path = adapter / "progress.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def _write(case: Any, out: Path) -> dict[str, Any]:
    from bye_core.reports.case import facts
    from bye_core.reports.page import page

    content = to_json_values(facts(case))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, page(case).encode("utf-8", "replace"))
        write_atomic(out.with_suffix(".json"), (json.dumps(content, indent=1) + "\n").encode("ascii"))
    except OSError as error:
        raise CannotWriteReport(path=out, reason=error.strerror or error) from error
    return content
