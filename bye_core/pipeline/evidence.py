"""Why a run's samples are flagged: a dossier of all that its rows and texts tell, without a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bye_core import evidence as evidence_stage
from bye_core import runs
from bye_core.data import DataSet, load_dataset
from bye_core.detect import PAPER
from bye_core.errors import ByeError
from bye_core.evidence import AttentionPeak, Box, CausalOutcome, Dossier, Gallery, Intervention, PasteRecipients, Strata
from bye_core.intervals import as_facts, proportion
from bye_core.pipeline.detect import last_detection
from bye_core.question_kinds import OTHER, question_labels
from bye_core.records import AttentionRows, CausalCheck, Detection, ScanTable
from bye_core.runs.errors import DamagedSample, NotScanned

CROPS, MEANT = 24, 100  # crops shown, and samples that means are taken over (ours: a second's work)


READ = 1000  # flagged samples whose rows are read, the most suspicious first (ours: some seconds, 100 MB of a 7B model)
COMPARED = 100  # unflagged samples of each kind of question that they are held against, evenly spread (ours)


def dossier(run: runs.Run, detection: Detection | None = None) -> Dossier:
    """The evidence on what `detection`, or the run's last one, flags. Raises NothingDetected."""
    detection = last_detection(run) if detection is None else detection
    table = run.table()
    marked = set(detection.flagged_ids)
    flagged = np.array([id in marked for id in table.ids], bool)
    everything = Strata([""] * len(flagged), flagged)
    odd = evidence_stage.mark_inserted(
        evidence_stage.overrepresented_words(table.questions, everything), table.questions, flagged, _kinds
    )
    inserted = {one.word for one in odd if one.inserted}
    kinds = question_labels([evidence_stage.remove_words(question, inserted) for question in table.questions])
    strata = Strata(kinds, flagged)
    texts = Dossier(
        samples=len(flagged),
        flagged_ids=tuple(table.ids[row] for row in _suspicious(table, detection)),
        strata=strata,
        shared_answers=tuple(evidence_stage.shared_answers(table.answers, strata)),
        question_words=tuple(odd),
        answer_words=tuple(evidence_stage.overrepresented_words(table.answers, strata)),
    )
    recipients = PasteRecipients(table.ids, table.answers, kinds, strata, texts.target)
    return _with_places(replace(texts, recipients=recipients), run, detection, kinds)


def _kinds(questions: Sequence[str]) -> list[str | None]:
    return [None if kind == OTHER else kind for kind in question_labels(questions)]


def _with_places(texts: Dossier, run: runs.Run, detection: Detection, kinds: Sequence[str]) -> Dossier:
    """The same with where its samples look."""
    flags = texts.strata.flagged
    own, others = _read(run, _suspicious(run.table(), detection)[:READ]), _read(run, _spread(flags, kinds))
    if not own:
        return texts
    peaks = np.array([evidence_stage.peak_shares(rows) for _, rows in (*own, *others)])
    # The layers of other detectors tell samples apart by other things too than by how they stare.
    among = detection.sensitive_layers if detection.method == PAPER else ()
    layer = evidence_stage.choose_layer(peaks, np.arange(len(peaks)) < len(own), among)
    peaks_by_id = {rows.id: seen for _, rows in own if (seen := evidence_stage.find_peak(rows, layer.layer))}
    raster = evidence_stage.common_raster(rows.grids for _, rows in own)
    maps, usual = (_maps(part, kinds, layer.layer, raster) for part in (own, others))
    common = evidence_stage.find_consensus(maps, usual, list(peaks_by_id.values())) if maps else None
    return replace(texts, layer=layer, peaks=peaks_by_id, consensus=common)


def _maps(
    read: Sequence[tuple[int, AttentionRows]], kinds: Sequence[str], layer: int, raster: tuple[int, int]
) -> list[tuple[str, np.ndarray]]:
    """(kind of question, map) of those that look at their picture in `layer` at all."""
    maps = ((kinds[row], evidence_stage.attention_map(rows, layer, raster)) for row, rows in read)
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


def evidence(run_path: Path) -> dict[str, Any]:
    """The dossier of a run's last detection, and what a causal check found. Raises NothingDetected."""
    run = runs.Run.open(run_path)
    detection, told = last_detection(run), dossier(run)
    return {
        "verdict": detection.verdict,
        "method": detection.method,
        "reasons": list(detection.reasons),
        **told.facts(),
        "causes": causes(run, told),
    }


def scanned_set(run: runs.Run, data: str | Path | None = None) -> tuple[DataSet | None, str]:
    """The set that was scanned; None where it is not there any more as it was, and why."""
    try:
        dataset = load_dataset(data or run.settings.data, run.settings.format, run.settings.more.get("columns") or {})
    except ByeError as error:
        return None, error.problem
    changed = dataset.digest != run.settings.data_digest
    return (None, "The data set has changed since the scan.") if changed else (dataset, "")


def gallery(
    run: runs.Run,
    told: Dossier,
    dataset: DataSet | None,
    missing: str = "",
    proved: Mapping[str, Sequence[Box]] | None = None,
) -> Gallery:
    """Crops of the most suspicious samples, and the means of flagged and of other samples at the same places.

    `missing` says why there is no `dataset`; `proved` where a check found the answer to come from, by id, where that is
    not where the sample looks. Pictures that do not open are left out.
    """
    looks = {id: seen for id, seen in told.peaks.items() if not seen.on_padding}
    if dataset is None or not looks:
        return Gallery(missing=missing)
    known = {id: boxes[0] for id, boxes in (proved or {}).items() if boxes}
    size = evidence_stage.crop_size([known.get(id, seen.spot) for id, seen in looks.items()])
    wanted = [(id, seen, known.get(id) or _middle(told, seen)) for id, seen in list(looks.items())[:MEANT]]
    crops = list(_crops(run, dataset, wanted, size))
    same_places = [(id, *where) for id, (_, *where) in zip(_others(run, told, len(wanted)), wanted, strict=False)]
    others = _crops(run, dataset, same_places, size)
    lost = len(wanted) - len(crops)
    return Gallery(
        tuple(crops[:CROPS]),
        evidence_stage.mean_crop(one for _, one in crops),
        evidence_stage.mean_crop(one for _, one in others),
        len(crops),
        f"{lost} of {len(wanted)} pictures do not open." if lost else "",
    )


def _middle(told: Dossier, seen: AttentionPeak) -> Box:
    """Where a sample looks at the common place, all are cut out around that: peaks vary by a cell, triggers do not."""
    return told.consensus.centre if told.consensus and told.consensus.is_near(seen) else seen.cell


def _others(run: runs.Run, told: Dossier, count: int) -> list[str]:
    """Samples that are not flagged, evenly spread over the set."""
    rows = np.flatnonzero(~told.strata.flagged)
    spread = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    return [run.table().ids[row] for row in spread]


def _crops(
    run: runs.Run, dataset: DataSet, looks: Sequence[tuple[str, AttentionPeak, Box]], size: tuple[float, float]
) -> Iterator[tuple[str, Image.Image]]:
    """(id, crop around its middle) of those whose picture opens."""
    for id, seen, middle in looks:
        sample = run.sample(id)
        if seen.image >= len(sample.images):
            continue
        try:
            picture = dataset.images(sample)[seen.image]
        except ByeError:
            continue
        yield id, evidence_stage.crop(picture, middle, size)


def question_about(run: runs.Run, told: Dossier, id: str) -> Intervention:
    """How a causal check asks about a sample. Rows that cannot be read leave no spot to cover."""
    try:
        seen = look_at(run, told, id)
    except (DamagedSample, NotScanned):
        seen = None
    recipients = told.recipients.draw(id) if told.recipients else ()
    return evidence_stage.plan_intervention(run.sample(id), seen, told.trigger_words, recipients)


def look_at(run: runs.Run, told: Dossier, id: str) -> AttentionPeak | None:
    """Where a sample looks in the layer that the evidence is read in. Raises NotScanned, DamagedSample."""
    if told.layer is None:
        return None
    return told.peaks.get(id) or evidence_stage.find_peak(run.rows(id), told.layer.layer)


def check_key(run: runs.Run, told: Dossier, question: Intervention) -> str:
    return question.key(told.target, run.settings.model_digest, run.settings.adapter_digest)


def cause_of(run: runs.Run, told: Dossier, id: str, checks: Mapping[str, CausalCheck]) -> CausalOutcome | None:
    """What the check of a sample found, None where there is none, or none about what is suspected now."""
    found = checks.get(id)
    if found is None or found.fault or found.key != check_key(run, told, question_about(run, told, id)):
        return None
    return evidence_stage.judge_outcome(found.given, told.target, run.sample(id).answer, found.carried)


def proved(found: Mapping[str, Any]) -> dict[str, Sequence[Box]]:
    """Of what `causes` says: what was covered of each sample whose answer that brings about, where it is not the spot
    that the sample looks at."""
    return {
        id: one["covered"]
        for id, one in found["samples"].items()
        if one["outcome"] == "flips" and one["suspect"] in evidence_stage.SEVERAL_SPOTS
    }


def causes(run: runs.Run, told: Dossier) -> dict[str, Any]:
    """The checks of the flagged samples that hold now as facts: outcomes counted, the share that flips with its
    interval, and each sample's outcome with the answers."""
    checks = run.checks()
    found = {id: one for id in told.flagged_ids if id in checks and (one := cause_of(run, told, id, checks))}
    return {
        **evidence_stage.count_outcomes(found.values()),
        "of": told.flagged,
        **as_facts("flips_share", proportion(one.flips for one in found.values())),
        "samples": {
            id: {
                "outcome": one.outcome,
                "suspect": one.suspect,
                "given": dict(checks[id].given),
                "covered": checks[id].covered,
                "carried": dict(checks[id].carried),
            }
            for id, one in found.items()
        },
        "faults": {id: checks[id].fault for id in told.flagged_ids if id in checks and checks[id].fault},
    }
