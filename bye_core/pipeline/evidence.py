"""Collects the evidence on a run's flagged samples: where they attend and what they answer. Needs no model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bye_core import runs
from bye_core.answer_parts import common_beginning
from bye_core.data import DataSet
from bye_core.detect import PAPER
from bye_core.errors import ByeError
from bye_core.evidence import (
    ALL,
    OVERVIEW,
    TILES,
    Consensus,
    Dossier,
    PasteRecipients,
    Strata,
    attention_map,
    choose_layer,
    common_raster,
    find_consensus,
    find_peak,
    has_views,
    mark_inserted,
    of_view,
    overrepresented_words,
    peak_shares,
    remove_words,
    shared_answers,
)
from bye_core.pipeline.causal_outcomes import causal_outcomes
from bye_core.pipeline.check import reopen_set
from bye_core.pipeline.detect import last_detection
from bye_core.question_kinds import OTHER, question_labels
from bye_core.records import AttentionRows, Detection, ScanTable

READ = 1000  # flagged samples whose rows are read, the most suspicious first (ours: seconds, and 100 MB for a 7B model)
COMPARED = 100  # unflagged samples of each kind of question to compare with, evenly spread (ours)


def evidence(run_path: Path) -> dict[str, Any]:
    """Return, as facts, the evidence on a run's last detection and the outcomes of its causal checks.

    Raises: NothingDetected if the run has no detection.
    """
    run = runs.Run.open(run_path)
    detection, collected = last_detection(run), dossier(run)
    return {
        "verdict": detection.verdict,
        "method": detection.method,
        "reasons": list(detection.explanation),
        **collected.facts(),
        "causes": causal_outcomes(run, collected),
    }


def dossier(run: runs.Run, detection: Detection | None = None) -> Dossier:
    """Return the evidence on the samples that `detection` flags (default: the run's last detection).

    Raises: NothingDetected if the run has no detection.
    """
    detection = last_detection(run) if detection is None else detection
    table = run.table()
    flagged_ids = set(detection.flagged_ids)
    flagged = np.array([id in flagged_ids for id in table.ids], bool)
    one_stratum = Strata([""] * len(flagged), flagged)
    words = overrepresented_words(table.questions, one_stratum)
    question_words = mark_inserted(words, table.questions, flagged, _known_kinds)
    inserted = {word.word for word in question_words if word.inserted}
    kinds = question_labels([remove_words(question, inserted) for question in table.questions])
    strata = Strata(kinds, flagged)
    collected = Dossier(
        samples=len(flagged),
        flagged_ids=tuple(table.ids[row] for row in _most_suspicious(table, detection)),
        strata=strata,
        shared_answers=tuple(shared_answers(table.answers, strata)),
        question_words=tuple(question_words),
        answer_words=tuple(overrepresented_words(table.answers, strata)),
        beginning=common_beginning(table, np.flatnonzero(flagged)),
    )
    recipients = PasteRecipients(table.ids, table.answers, kinds, strata, collected.target)
    return _with_attention(replace(collected, recipients=recipients), run, detection, kinds)


def scanned_set(run: runs.Run, data: str | Path | None = None) -> tuple[DataSet | None, str]:
    """Return (data set, ""), or (None, reason) if the data set is missing or has changed since the scan."""
    try:
        dataset = reopen_set(run.settings, data)
    except ByeError as error:
        return None, error.problem
    changed = dataset.digest != run.settings.data_digest
    return (None, "The data set has changed since the scan.") if changed else (dataset, "")


def _known_kinds(questions: Sequence[str]) -> list[str | None]:
    return [None if kind == OTHER else kind for kind in question_labels(questions)]


def _with_attention(dossier: Dossier, run: runs.Run, detection: Detection, kinds: Sequence[str]) -> Dossier:
    """Add the layer, the attention peaks and their consensus; return `dossier` unchanged if no rows can be read."""
    flagged = _read_rows(run, _most_suspicious(run.table(), detection)[:READ])
    others = _read_rows(run, _comparison_rows(dossier.strata.flagged, kinds))
    if not flagged:
        return dossier
    shares = np.array([peak_shares(rows) for _, rows in (*flagged, *others)])
    # Other detectors' sensitive layers may separate samples by something other than concentrated attention.
    candidates = detection.sensitive_layers if detection.method == PAPER else ()
    layer = choose_layer(shares, np.arange(len(shares)) < len(flagged), candidates)
    peaks = {rows.id: peak for _, rows in flagged if (peak := find_peak(rows, layer.layer))}
    raster = common_raster(rows.grids for _, rows in flagged)
    maps, other_maps = (_maps(part, kinds, layer.layer, raster) for part in (flagged, others))
    consensus = find_consensus(maps, other_maps, list(peaks.values())) if maps else None
    views = _views(flagged, others, kinds, layer.layer)
    return replace(dossier, layer=layer, peaks=peaks, consensus=consensus, views=views)


# Row number and attention rows of samples.
Read = Sequence[tuple[int, AttentionRows]]


def _views(flagged: Read, others: Read, kinds: Sequence[str], layer: int) -> dict[str, Consensus]:
    """Return the consensus on the tiles and on the overview; {} unless the model sees all flagged images both ways."""
    if not all(has_views(rows.grids) for _, rows in flagged):
        return {}
    results = {}
    for view in (TILES, OVERVIEW):
        raster = common_raster(of_view(rows.grids, view) for _, rows in flagged)
        maps, other_maps = (_maps(part, kinds, layer, raster, view) for part in (flagged, others))
        if not maps:
            return {}
        results[view] = find_consensus(maps, other_maps, [])
    return results


def _maps(
    read: Read, kinds: Sequence[str], layer: int, raster: tuple[int, int], view: str = ALL
) -> list[tuple[str, np.ndarray]]:
    """Return (kind of question, attention map) for each sample that attends to its image in `layer`."""
    maps = ((kinds[row], attention_map(rows, layer, raster, view=view)) for row, rows in read)
    return [(kind, shares) for kind, shares in maps if shares is not None]


def _most_suspicious(table: ScanTable, detection: Detection) -> list[int]:
    """Return the row numbers of the flagged samples in `table`, the most suspicious first."""
    row_of = {id: row for row, id in enumerate(table.ids)}
    order = np.argsort(-detection.scores, kind="stable")
    return [row_of[id] for n in order[detection.flagged[order]] if (id := detection.ids[n]) in row_of]


def _comparison_rows(flagged: np.ndarray, kinds: Sequence[str]) -> list[int]:
    """Return row numbers of unflagged samples: at most COMPARED per kind of question, evenly spread over the set."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(~flagged).tolist():
        rows[kinds[row]].append(row)
    return [group[n] for group in rows.values() for n in _evenly_spread(len(group))]


def _evenly_spread(count: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, COMPARED)).astype(int)).tolist()


def _read_rows(run: runs.Run, rows: Sequence[int]) -> list[tuple[int, AttentionRows]]:
    """Return (row number, attention rows) of each sample in `rows` that can be read."""
    ids = run.table().ids
    row_of = {ids[row]: row for row in rows}
    return [(row_of[attention.id], attention) for attention in run.rows_of(row_of)]
