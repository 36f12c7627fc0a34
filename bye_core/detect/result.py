"""Creates the Detection that a detector returns, and its JSON object."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from bye_core.records import NO_EVIDENCE, POISONED, Detection, LayerReport, Mixture, ScanTable


def result(
    method: str,
    settings: Any,
    table: ScanTable,
    flagged: np.ndarray,
    scores: np.ndarray,
    reasons: Sequence[str],
    values: np.ndarray | None = None,
    votes: Mapping[int, Sequence[int]] | None = None,
    cutoff: float | None = None,
    final: Mixture | None = None,
) -> Detection:
    """Return a Detection; its verdict follows from the flags.

    `votes` maps each layer to the heads of this layer that took part.
    """
    record = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}
    return Detection(
        method=method,
        settings=record,
        verdict=POISONED if flagged.any() else NO_EVIDENCE,
        ids=tuple(table.ids),
        scores=np.asarray(scores, np.float64),
        flagged=np.asarray(flagged, bool),
        values=np.full(len(table.ids), np.nan) if values is None else np.asarray(values, np.float64),
        layers=layer_reports(table, votes or {}),
        reasons=tuple(reasons),
        final=final,
        cutoff=cutoff,
    )


def nothing(
    method: str,
    settings: Any,
    table: ScanTable,
    reasons: Sequence[str],
    scores: np.ndarray | None = None,
    values: np.ndarray | None = None,
) -> Detection:
    """Return a Detection with the verdict "no_evidence", in which no sample is flagged."""
    count = len(table.ids)
    scores = np.zeros(count) if scores is None else scores
    return result(method, settings, table, np.zeros(count, bool), scores, reasons, values)


def layer_reports(table: ScanTable, votes: Mapping[int, Sequence[int]]) -> tuple[LayerReport, ...]:
    """Return a report for each layer; a layer is sensitive if it has voting heads.

    No mixtures: only BYE's rule has them.
    """
    return tuple(
        LayerReport(layer, None, math.nan, math.nan, layer in votes, _note(votes.get(layer, ())))
        for layer in range(table.layer_entropy.shape[1])
    )


def _note(heads: Sequence[int]) -> str:
    return f"head{'s' if len(heads) > 1 else ''} {', '.join(map(str, sorted(heads)))} voted" if len(heads) else ""


def named_heads(heads: Sequence[tuple[int, int]], most: int = 5) -> str:
    """Return (layer, head) pairs as words, such as "layer 4 head 2, layer 5 head 0 and 3 more"."""
    names = ", ".join(f"layer {layer} head {head}" for layer, head in heads[:most])
    return names + (f" and {len(heads) - most} more" if len(heads) > most else "")


def by_layer(heads: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    """Return a dict from each layer to its heads, from a list of (layer, head) pairs."""
    grouped: dict[int, list[int]] = {}
    for layer, head in heads:
        grouped.setdefault(layer, []).append(head)
    return grouped


def detection_object(detection: Detection) -> dict[str, Any]:
    """Return the JSON object of a detection, as the command line prints it."""
    return {
        "verdict": detection.verdict,
        "flagged": list(detection.flagged_ids),
        "scores": dict(zip(detection.ids, detection.scores.tolist(), strict=True)),
        "layers": [_layer_object(report) for report in detection.layers],
        "method": detection.method,
        "settings": dict(detection.settings),
        "reasons": list(detection.explanation),
        "findings": [dataclasses.asdict(finding) for finding in detection.findings],
        "suspects": list(detection.suspects),
    }


def _layer_object(report: Any) -> dict[str, Any]:
    value = dataclasses.asdict(report)
    return {name: None if isinstance(entry, float) and entry != entry else entry for name, entry in value.items()}
