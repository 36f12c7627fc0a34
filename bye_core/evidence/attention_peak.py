"""Finds the attention peak of a sample, and the spot around it that may hold a trigger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from bye_core.grids import cell_box, image_shares, on_grid, rasters
from bye_core.records import AttentionRows, Grid

# A part of an image: (left, top, right, bottom) as fractions of its width and height.
Box = tuple[float, float, float, float]

# The spot is the connected region of cells with at least BRIGHT times the peak's share, plus a MARGIN of cells on each
# side, because a trigger rarely ends at the edge of a cell (ours).
BRIGHT, MARGIN = 0.5, 1

# Largest side of a spot, as a share of the grid: a larger region does not count as a spot (ours).
WIDEST = 1 / 3


@dataclass(frozen=True)
class AttentionPeak:
    """The attention peak of one sample in `layer`.

    grid    number of the raster of the sample (see bye_core.grids) in which the peak cell is
    row     row of the peak cell in this raster
    column  column of the peak cell in this raster
    share   attention on the peak cell, 0..1 of the attention on the image tokens
    image   number of the image that shows the cell
    cell    the cell as a part of this image; it may lie on padding, beyond 0..1
    spot    the suspected spot around the cell, as a part of this image
    """

    layer: int
    grid: int
    image: int
    row: int
    column: int
    share: float
    cell: Box
    spot: Box

    @property
    def on_padding(self) -> bool:
        """Whether the cell lies on the padding around the image."""
        left, top, right, bottom = self.cell
        return left >= 1 or top >= 1 or right <= 0 or bottom <= 0


@dataclass(frozen=True)
class LayerChoice:
    """The layer in which the evidence is read, and why.

    flagged  median over the flagged samples of the largest share of one cell; NaN if it is unknown
    others   the same median over the other samples
    """

    layer: int
    flagged: float
    others: float
    reason: str


def peak_shares(rows: AttentionRows) -> np.ndarray:
    """Return the largest share of one image token in every layer [L]; NaN for a layer without valid attention.

    Tokens without a cell, such as those that end a row, do not count if the sample has grids.
    """
    shares = image_shares(rows.rows)
    if rows.grids:
        shares = shares[:, np.concatenate([raster.tokens.ravel() for raster in rasters(rows.grids)])]
    return shares.max(axis=1) if shares.shape[1] else np.full(len(shares), np.nan)


def choose_layer(peaks: np.ndarray, flagged: np.ndarray, sensitive: Sequence[int] = ()) -> LayerChoice:
    """Choose the layer in which the attention of flagged samples is most peaked, compared with the other samples.

    peaks [N, L] are the peak shares, flagged [N] bool. Only `sensitive` layers are considered, or all layers if there
    are none. The criterion is the probability that a flagged sample has a larger peak share than another sample (area
    under the ROC curve; ours): attention that collapses onto a trigger raises the peak share at any position. If layers
    tie, the medians decide.
    """
    candidates = list(sensitive) or list(range(peaks.shape[1]))
    medians = [(_median(peaks[flagged, layer]), _median(peaks[~flagged, layer])) for layer in candidates]
    often = [round(_win_share(peaks[flagged, layer], peaks[~flagged, layer]), 2) for layer in candidates]
    best = max(range(len(candidates)), key=lambda n: (often[n], np.nan_to_num(np.subtract(*medians[n]), nan=-np.inf)))
    layer, (own, others) = candidates[best], medians[best]
    if len(candidates) == 1:
        among = "the only sensitive layer" if sensitive else "the only layer"
    else:
        kind = "sensitive layers" if sensitive else "layers"
        among = f"which has the highest peaks for flagged samples among {len(candidates)} {kind}"
    measured = (
        f"the median share of the peak cell is {own:.1%} for flagged samples and {others:.1%} for others"
        if np.isfinite(own - others)
        else "there are no other samples to compare with"
    )
    return LayerChoice(layer, own, others, f"Measured in layer {layer}, {among}: {measured}.")


def _win_share(own: np.ndarray, others: np.ndarray) -> float:
    """Return the share of pairs in which the value of `own` is larger than that of `others` (AUC).

    Returns -1 if one of them is empty.
    """
    own, others = own[np.isfinite(own)], others[np.isfinite(others)]
    if not len(own) or not len(others):
        return -1.0
    return float(scipy.stats.mannwhitneyu(own, others).statistic / (len(own) * len(others)))


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else math.nan


def find_peak(rows: AttentionRows, layer: int) -> AttentionPeak | None:
    """Return the attention peak of one sample in `layer`; None if this layer does not see the whole image."""
    shares = image_shares(rows.rows)[[layer]]
    if not rows.grids or not np.isfinite(shares).all():
        return None
    parts = rasters(rows.grids)
    cells = [on_grid(shares, part)[0] for part in parts]
    best = int(np.argmax([own.max() for own in cells]))
    raster, own = parts[best], cells[best]
    row, column = (int(place) for place in np.unravel_index(own.argmax(), own.shape))
    spot = _spot(own, row, column)
    edges = cell_box(raster, *spot[:2], 1, 1)[:2] + cell_box(raster, *spot[2:], 1, 1)[2:]
    cell = cell_box(raster, row, column, 1, 1)
    return AttentionPeak(layer, best, raster.image, row, column, float(own[row, column]), cell, _inside(edges))


def _spot(cells: np.ndarray, row: int, column: int) -> tuple[int, int, int, int]:
    """Return (first row, first column, last row, last column) of the spot around the peak in shares [rows, columns]."""
    parts, _ = scipy.ndimage.label(cells >= BRIGHT * cells[row, column], structure=np.ones((3, 3)))
    found = scipy.ndimage.find_objects(parts)[parts[row, column] - 1]
    edges = []
    for along, peak, size in zip(found, (row, column), cells.shape, strict=True):
        widest = max(2 * MARGIN + 1, math.ceil(WIDEST * size))
        first, last = along.start - MARGIN, along.stop - 1 + MARGIN
        if last - first + 1 > widest:
            first = min(max(first, peak - widest // 2), last - widest + 1)
            last = first + widest - 1
        edges.append((max(first, 0), min(last, size - 1)))
    (top, bottom), (left, right) = edges
    return top, left, bottom, right


def _inside(box: Box) -> Box:
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in box)
    return left, top, right, bottom


def on_image(shares: np.ndarray, grids: Sequence[Grid], image: int, raster: tuple[int, int]) -> np.ndarray:
    """Resample the shares [V] of one layer to a `raster` (rows, columns) over the whole image number `image`.

    The share of a cell is spread evenly over the part of the image that it covers; shares on padding are dropped.
    """
    found = np.zeros(raster)
    for grid in grids:
        if grid.image == image:
            left, top, right, bottom = grid.box
            down = _overlap(raster[0], grid.rows, top, bottom)
            across = _overlap(raster[1], grid.columns, left, right)
            found += down @ on_grid(shares[None], grid)[0] @ across.T
    return found


@lru_cache(maxsize=64)
def _overlap(parts: int, cells: int, start: float, stop: float) -> np.ndarray:
    """Return [parts, cells]: the share of each cell that lies on each of `parts` equal parts of 0..1.

    The `cells` equal cells cover the range from `start` to `stop`.
    """
    edges = np.linspace(start, stop, cells + 1)
    bounds = np.linspace(0, 1, parts + 1)
    common = np.minimum(bounds[1:, None], edges[None, 1:]) - np.maximum(bounds[:-1, None], edges[None, :-1])
    return common.clip(0) / ((stop - start) / cells)
