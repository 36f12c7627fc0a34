"""Finds where the attention of every sample peaks, layer by layer, for the filter by place. No gradio."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from threading import Lock

import numpy as np
from cachetools import LRUCache

from bye_core.grids import image_shares, rasters
from bye_core.records import AttentionRows, Grid
from bye_core.ui.open_run import OpenRun

KEPT = 4  # runs in memory
STEP = 200  # samples between two reports of the progress
THIRDS = (("top", "middle", "bottom"), ("left", "centre", "right"))
PADDING = "padding"
# The places to choose from: ninths of the image, and the padding around it.
PLACES = {
    f"{down}-{across}": f"{down} {across}".replace("middle centre", "centre")
    for down in THIRDS[0]
    for across in THIRDS[1]
} | {PADDING: "on the padding"}
_found: LRUCache[tuple, np.ndarray] = LRUCache(KEPT)
_lock = Lock()


def known(opened: OpenRun) -> np.ndarray | None:
    """Return the peaks [N, L, 2] of a run (see `read`) if they were read before, else None."""
    with _lock:
        return _found.get(_key(opened))


def read(opened: OpenRun) -> Iterator[int]:
    """Read the attention rows of all scanned samples and keep their peaks. Yield the number of read samples."""
    table = opened.table
    peaks = np.full((*table.layer_entropy.shape, 2), np.nan, np.float32)
    for number, rows in enumerate(opened.run.rows_of(table.ids), 1):
        peaks[opened.row_of[rows.id]] = sample_peaks(rows)
        if number % STEP == 0:
            yield number
    with _lock:
        _found[_key(opened)] = peaks


def sample_peaks(rows: AttentionRows) -> np.ndarray:
    """Return [L, 2] the middle (x, y) of each layer's peak cell, as fractions of the image; NaN if it is unknown."""
    shares, centres = image_shares(rows.rows), _centres(rows.grids, rows.image_tokens)
    placed = np.isfinite(centres[:, 0])
    seen = np.isfinite(shares).all(axis=1)
    if not placed.any() or not seen.any():
        return np.full((len(shares), 2), np.nan)
    peaks = centres[np.where(placed, shares, -1.0).argmax(axis=1)]
    return np.where(seen[:, None], peaks, np.nan)


@lru_cache(maxsize=256)
def _centres(grids: tuple[Grid, ...], tokens: int) -> np.ndarray:
    """Return [V, 2] the middle of each token's cell as fractions of its image; NaN for tokens without a cell."""
    centres = np.full((tokens, 2), np.nan)
    for raster in rasters(grids):
        left, top, right, bottom = raster.box
        across = left + (np.arange(raster.columns) + 0.5) * (right - left) / raster.columns
        down = top + (np.arange(raster.rows) + 0.5) * (bottom - top) / raster.rows
        centres[raster.tokens] = np.stack(np.meshgrid(across, down), axis=-1)
    return centres


def names(peaks: np.ndarray) -> np.ndarray:
    """Return [N] the key of PLACES for the peaks [N, 2] of one layer; "" if the peak is unknown."""
    found = np.full(len(peaks), "", dtype=object)
    inside = ((peaks >= 0) & (peaks <= 1)).all(axis=1)
    unknown = ~np.isfinite(peaks).all(axis=1)
    found[~inside & ~unknown] = PADDING
    thirds = np.clip((np.nan_to_num(peaks) * 3).astype(int), 0, 2)
    for row in np.flatnonzero(inside):
        found[row] = f"{THIRDS[0][thirds[row, 1]]}-{THIRDS[1][thirds[row, 0]]}"
    return found


def _key(opened: OpenRun) -> tuple:
    return opened.path, opened.scan
