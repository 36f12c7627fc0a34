"""The data of a report, and its conversion to the facts in report.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from bye_core.evidence import Gallery
from bye_core.grids import image_shares, on_grid, shown_rasters
from bye_core.records import NORMALISED, UNITS_OF_VALUES, AttentionRows, Decision, Detection, Sample, ScanTable

VERSION = 1  # of report.json


@dataclass(frozen=True)
class Exhibit:
    """One flagged sample to show. If its images cannot be opened, `missing` says why."""

    sample: Sample
    rows: AttentionRows
    images: Sequence[Image.Image]
    missing: str = ""


@dataclass(frozen=True)
class Case:
    """The content of a report: a run, its detection, and the results that followed.

    run        the run's settings; `counts`: the numbers of samples scanned, failed and in total
    table      the statistics of all scored samples
    decisions  the current decisions, by sample id
    exhibits   the most suspicious samples, to show with image and heatmap
    cleaning   the record of the cleaning that the run belongs to, None for a single run
    models     results of `pipeline.evaluate` by model; `labels` are the titles of the models
    losses     loss curves by model
    evidence   facts of the dossier, with `causes` (outcomes of causal checks); `gallery`: crops of the suspected spots
    """

    title: str
    run: Mapping[str, Any]
    counts: Mapping[str, int]
    table: ScanTable
    detection: Detection
    decisions: Mapping[str, Decision]
    created: str
    exhibits: Sequence[Exhibit] = ()
    cleaning: Mapping[str, Any] | None = None
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] | None = None
    gallery: Gallery = field(default_factory=Gallery)

    @property
    def entropies(self) -> np.ndarray:
        """[N, L] entropies in the unit of the detection."""
        return self.table.with_unit(self.detection.entropy_unit).layer_entropies()


@dataclass(frozen=True)
class Reason:
    """Why a sample is suspicious: its entropy, and `usual`, the median of unflagged samples, both in `unit`.

    `row` and `column` name the cell with the largest share, `peak`, in raster number `grid` (see bye_core.grids).
    """

    layer: int | None
    entropy: float
    usual: float
    peak: float
    row: int
    column: int
    grid: int
    unit: str = "nats"
    on_image: bool = True
    on_overview: bool = False

    def words(self) -> str:
        number = self.column + 1
        cell = "cell of the overview" if self.on_overview else "cell"
        place = f"{cell}: row {self.row + 1}, column {number}" if self.on_image else f"image token: number {number}"
        where = "over all layers" if self.layer is None else f"in layer {self.layer}"
        return (
            f"Entropy {self.entropy:.2f} {self.unit} {where}; unflagged samples have {self.usual:.2f}. "
            f"{self.peak:.0%} of its attention on the image is on one {place}."
        )


def most_separated_layer(detection: Detection) -> int | None:
    """Return the sensitive layer with the highest BSI; None if no layer is sensitive."""
    sensitive = [report for report in detection.layers if report.sensitive]
    return max(sensitive, key=lambda report: np.nan_to_num(report.bsi, nan=-1.0)).layer if sensitive else None


def reason(case: Case, rows: AttentionRows) -> Reason:
    """Return the entropies of one sample in the most separated layer; if there is none, over all layers."""
    layer = most_separated_layer(case.detection)
    wanted = slice(None) if layer is None else [layer]
    entropies = np.nanmean(case.entropies[:, wanted], axis=1)
    flagged = set(case.detection.flagged_ids)
    ordinary = np.array([id not in flagged for id in case.table.ids])
    usual = np.median(entropies[ordinary & np.isfinite(entropies)]) if ordinary.any() else np.nan
    shares = np.nan_to_num(image_shares(rows.rows)[wanted]).mean(axis=0, keepdims=True)
    parts = shown_rasters(rows.grids, shares.shape[1])
    cells = [on_grid(shares, raster)[0] for raster in parts]
    best = int(np.argmax([cell.max() for cell in cells]))
    row, column = np.unravel_index(cells[best].argmax(), cells[best].shape)
    unit = case.detection.entropy_unit
    largest = np.log(rows.image_tokens) if unit == NORMALISED and rows.image_tokens > 1 else 1.0
    own = float(np.nanmean(np.asarray(rows.layer_entropy, float)[wanted]) / largest)
    return Reason(
        layer,
        own,
        float(usual),
        float(cells[best].max()),
        int(row),
        int(column),
        best,
        UNITS_OF_VALUES[unit],
        bool(rows.grids),
        parts[best].overview,
    )


def flagged_rows(case: Case) -> list[dict[str, Any]]:
    """Return one row per flagged sample with its score, value and decision, the most suspicious first."""
    detection, row_of = case.detection, {id: row for row, id in enumerate(case.table.ids)}
    order = np.lexsort((detection.values, -detection.scores))
    rows = []
    for at in order[detection.flagged[order]]:
        id = detection.ids[at]
        decision, row = case.decisions.get(id), row_of.get(id)
        rows.append(
            {
                "id": id,
                "question": case.table.questions[row] if row is not None and case.table.questions else "",
                "answer": case.table.answers[row] if row is not None and case.table.answers else "",
                "score": float(detection.scores[at]),
                "value": float(detection.values[at]),
                "decision": decision.choice if decision else "undecided",
                "reviewer": decision.reviewer if decision else "",
                "note": decision.note if decision else "",
            }
        )
    return rows


def decided(case: Case) -> dict[str, int]:
    """Return the numbers of accepted samples, rejected samples, and flagged samples without a decision."""
    choices = Counter(decision.choice for decision in case.decisions.values())
    open_ids = set(case.detection.flagged_ids) - case.decisions.keys()
    return {"accepted": choices["accept"], "rejected": choices["reject"], "undecided_flagged": len(open_ids)}


def facts(case: Case) -> dict[str, Any]:
    """Return the content of report.json: everything on the page except images, and every flagged sample."""
    detection = case.detection
    return {
        "report": VERSION,
        "title": case.title,
        "created": case.created,
        "verdict": detection.verdict,
        "counts": {**case.counts, "flagged": len(detection.flagged_ids), **decided(case)},
        "detection": {
            "method": detection.method,
            "settings": dict(detection.settings),
            "layers": [asdict(report) for report in detection.layers],
            "sensitive_layers": list(detection.sensitive_layers),
            "cutoff": detection.cutoff,
            "final": asdict(detection.final) if detection.final else None,
            "reasons": list(detection.explanation),
            "findings": [asdict(finding) for finding in detection.findings],
            "suspects": list(detection.suspects),
        },
        "flagged": flagged_rows(case),
        "evidence": dict(case.evidence) if case.evidence else None,
        "run": dict(case.run),
        "cleaning": dict(case.cleaning) if case.cleaning else None,
        "models": {name: {"label": case.labels.get(name, name), **own} for name, own in case.models.items()},
        "versions": dict(case.versions),
    }
