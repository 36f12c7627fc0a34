"""Why a run's samples are flagged: a dossier of all that its rows and texts tell, without a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bye_core import evidence, runs
from bye_core.detect import PAPER
from bye_core.evidence import Carriers, Dossier, Strata
from bye_core.pipeline.deciding import last_detection
from bye_core.records import AttentionRows, Detection, ScanTable
from bye_core.train.questions import OTHER, question_types

READ = 1000  # flagged samples whose rows are read, the most suspicious first (ours: some seconds, 100 MB of a 7B model)
COMPARED = 100  # unflagged samples of each kind of question that they are held against, evenly spread (ours)


def dossier(run: runs.Run, detection: Detection | None = None) -> Dossier:
    """The evidence on what `detection`, or the run's last one, flags. Raises NothingDetected."""
    detection = last_detection(run) if detection is None else detection
    table = run.table()
    marked = set(detection.flagged_ids)
    flagged = np.array([id in marked for id in table.ids], bool)
    everything = Strata([""] * len(flagged), flagged)
    odd = evidence.mark_inserted(evidence.odd_words(table.questions, everything), table.questions, flagged, _kinds)
    inserted = {one.word for one in odd if one.inserted}
    kinds = question_types([evidence.without(question, inserted) for question in table.questions])
    strata = Strata(kinds, flagged)
    texts = Dossier(
        samples=len(flagged),
        flagged_ids=tuple(table.ids[row] for row in _suspicious(table, detection)),
        strata=strata,
        shared=tuple(evidence.shared_answers(table.answers, strata)),
        question_words=tuple(odd),
        answer_words=tuple(evidence.odd_words(table.answers, strata)),
    )
    carriers = Carriers(table.ids, table.answers, kinds, strata, texts.target)
    return _with_places(replace(texts, carriers=carriers), run, detection, kinds)


def _kinds(questions: Sequence[str]) -> list[str | None]:
    return [None if kind == OTHER else kind for kind in question_types(questions)]


def _with_places(texts: Dossier, run: runs.Run, detection: Detection, kinds: Sequence[str]) -> Dossier:
    """The same with where its samples look."""
    flags = texts.strata.flagged
    own, others = _read(run, _suspicious(run.table(), detection)[:READ]), _read(run, _spread(flags, kinds))
    if not own:
        return texts
    peaks = np.array([evidence.peak_shares(rows) for _, rows in (*own, *others)])
    # The layers of other detectors tell samples apart by other things too than by how they stare.
    among = detection.sensitive_layers if detection.method == PAPER else ()
    layer = evidence.choose_layer(peaks, np.arange(len(peaks)) < len(own), among)
    looks = {rows.id: seen for _, rows in own if (seen := evidence.look(rows, layer.layer))}
    raster = evidence.raster_of(rows.grids for _, rows in own)
    maps, usual = (_maps(part, kinds, layer.layer, raster) for part in (own, others))
    common = evidence.consensus(maps, usual, list(looks.values())) if maps else None
    return replace(texts, layer=layer, looks=looks, consensus=common)


def _maps(
    read: Sequence[tuple[int, AttentionRows]], kinds: Sequence[str], layer: int, raster: tuple[int, int]
) -> list[tuple[str, np.ndarray]]:
    """(kind of question, map) of those that look at their picture in `layer` at all."""
    maps = ((kinds[row], evidence.picture_map(rows, layer, raster)) for row, rows in read)
    return [(kind, own) for kind, own in maps if own is not None]


def _suspicious(table: ScanTable, detection: Detection) -> list[int]:
    """Rows of the flagged samples, the most suspicious first."""
    place = {id: row for row, id in enumerate(table.ids)}
    order = np.argsort(-detection.scores, kind="stable")
    return [place[id] for at in order[detection.flagged[order]] if (id := detection.ids[at]) in place]


def _spread(flagged: np.ndarray, kinds: Sequence[str]) -> list[int]:
    """Rows of unflagged samples, of each kind of question COMPARED at most, evenly spread over the set."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(~flagged).tolist():
        rows[kinds[row]].append(row)
    return [own[place] for own in rows.values() for place in _places(len(own))]


def _places(count: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, COMPARED)).astype(int)).tolist()


def _read(run: runs.Run, rows: Sequence[int]) -> list[tuple[int, AttentionRows]]:
    """Those whose rows can be read; a scan tells of the others."""
    ids = run.table().ids
    place = {ids[row]: row for row in rows}
    return [(place[one.id], one) for one in run.rows_of(place)]
