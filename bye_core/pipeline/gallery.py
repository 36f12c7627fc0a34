"""Crops the suspected spots from flagged samples' images, and the same places from unflagged samples' images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from bye_core import runs
from bye_core.data import DataSet
from bye_core.errors import ByeError
from bye_core.evidence import AttentionPeak, Box, Dossier, Gallery, crop, crop_size, mean_crop

CROPS, AVERAGED = 24, 100  # shown crops, and samples in each mean crop (ours: takes about a second)


def gallery(
    run: runs.Run,
    dossier: Dossier,
    dataset: DataSet | None,
    missing: str = "",
    regions: Mapping[str, Sequence[Box]] | None = None,
) -> Gallery:
    """Return crops of the most suspicious samples, and the mean crop of flagged and of unflagged samples.

    missing  why `dataset` is None
    regions  by sample id, the regions that a causal check found (`trigger_regions`); default: the attention peaks

    Leaves out images that do not open.
    """
    peaks = {id: peak for id, peak in dossier.peaks.items() if not peak.on_padding}
    if dataset is None or not peaks:
        return Gallery(missing=missing)
    known = {id: boxes[0] for id, boxes in (regions or {}).items() if boxes}
    size = crop_size([known.get(id, peak.spot) for id, peak in peaks.items()])
    wanted = [(id, peak, known.get(id) or _centre(dossier, peak)) for id, peak in list(peaks.items())[:AVERAGED]]
    crops = list(_crops(run, dataset, wanted, size))
    other_ids = _unflagged(run, dossier, len(wanted))
    same_places = [(id, peak, centre) for id, (_, peak, centre) in zip(other_ids, wanted, strict=False)]
    lost = len(wanted) - len(crops)
    return Gallery(
        tuple(crops[:CROPS]),
        mean_crop(image for _, image in crops),
        mean_crop(image for _, image in _crops(run, dataset, same_places, size)),
        len(crops),
        f"{lost} of {len(wanted)} images do not open." if lost else "",
    )


def _centre(dossier: Dossier, peak: AttentionPeak) -> Box:
    """Return the consensus centre if `peak` is near it, else the peak's own cell: peaks may be off by a cell."""
    return dossier.consensus.centre if dossier.consensus and dossier.consensus.is_near(peak) else peak.cell


def _unflagged(run: runs.Run, dossier: Dossier, count: int) -> list[str]:
    """Return ids of unflagged samples, evenly spread over the set."""
    rows = np.flatnonzero(~dossier.strata.flagged)
    spread = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
    return [run.table().ids[row] for row in spread]


def _crops(
    run: runs.Run, dataset: DataSet, places: Sequence[tuple[str, AttentionPeak, Box]], size: tuple[float, float]
) -> Iterator[tuple[str, Image.Image]]:
    """Yield (id, crop around the centre of the box) for each sample whose image opens."""
    for id, peak, box in places:
        sample = run.sample(id)
        if peak.image >= len(sample.images):
            continue
        try:
            image = dataset.images(sample)[peak.image]
        except ByeError:
            continue
        yield id, crop(image, box, size)
