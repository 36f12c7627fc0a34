"""The suspected spots of a flagged set, cut out of its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bye_core import evidence, runs
from bye_core.data import DataSet, load_dataset
from bye_core.errors import ByeError
from bye_core.evidence import Box, Dossier, Gallery, Look

CROPS, MEANT = 24, 100  # crops shown, and samples that means are taken over (ours: a second's work)


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
    looks = {id: seen for id, seen in told.looks.items() if not seen.on_padding}
    if dataset is None or not looks:
        return Gallery(missing=missing)
    known = {id: boxes[0] for id, boxes in (proved or {}).items() if boxes}
    size = evidence.crop_box([known.get(id, seen.spot) for id, seen in looks.items()])
    wanted = [(id, seen, known.get(id) or _middle(told, seen)) for id, seen in list(looks.items())[:MEANT]]
    crops = list(_crops(run, dataset, wanted, size))
    same_places = [(id, *where) for id, (_, *where) in zip(_others(run, told, len(wanted)), wanted, strict=False)]
    others = _crops(run, dataset, same_places, size)
    lost = len(wanted) - len(crops)
    return Gallery(
        tuple(crops[:CROPS]),
        evidence.mean_crop(one for _, one in crops),
        evidence.mean_crop(one for _, one in others),
        len(crops),
        f"{lost} of {len(wanted)} pictures do not open." if lost else "",
    )


def _middle(told: Dossier, seen: Look) -> Box:
    """Where a sample looks at the common place, all are cut out around that: peaks vary by a cell, triggers do not."""
    return told.consensus.middle if told.consensus and told.consensus.near(seen) else seen.cell


def _others(run: runs.Run, told: Dossier, count: int) -> list[str]:
    """Samples that are not flagged, evenly spread over the set."""
    rows = np.flatnonzero(~told.strata.flagged)
    spread = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    return [run.table().ids[row] for row in spread]


def _crops(
    run: runs.Run, dataset: DataSet, looks: Sequence[tuple[str, Look, Box]], size: tuple[float, float]
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
        yield id, evidence.crop(picture, middle, size)
