"""Maps image tokens to grid cells, and grid cells to boxes in the image. Pure functions only.

The app's script assets/scripts/review/heatmap.js repeats `cell_box` and `cell_at` line by line: change both together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bye_core.records import Grid


def image_shares(rows: np.ndarray) -> np.ndarray:
    """Divide head-mean image attention [L, V] by its sum over the V image tokens: [L, V] float64, NaN if it is 0."""
    rows = np.asarray(rows, np.float64)
    total = rows.sum(axis=-1, keepdims=True)
    return np.divide(rows, total, out=np.full_like(rows, np.nan), where=total > 0)


NO_IMAGE = -1
NO_MAP = (
    "There is no map: the tool could not measure where this model's image tokens lie on the image. "
    "The strip shows the tokens in their order."
)


@dataclass(frozen=True, eq=False)
class Raster:
    """The cells of one grid, or of all tiles of one image joined, row by row.

    image, box, overview   as in records.Grid; `box` is the part of the image that all cells cover
    tokens [rows, columns] position of each cell's token in the V axis
    """

    image: int
    box: tuple[float, float, float, float]
    overview: bool
    tokens: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.tokens)

    @property
    def columns(self) -> int:
        return self.tokens.shape[1]


def rasters(grids: Sequence[Grid]) -> tuple[Raster, ...]:
    """Return the rasters of a sample's grids, in the order of the grids.

    Tiles of one image become one raster if they lie side by side without gaps; any other grid is a raster of its own.
    """
    results: list[Raster] = []
    done: set[int] = set()
    for grid in grids:
        tiles = [grid] if grid.overview else [g for g in grids if g.image == grid.image and not g.overview]
        joined = _joined(tiles) if len(tiles) > 1 else None
        if joined is None:
            results.append(Raster(grid.image, grid.box, grid.overview, token_numbers(grid)))
        elif grid.image not in done:
            done.add(grid.image)
            results.append(joined)
    return tuple(results)


def shown_rasters(grids: Sequence[Grid], tokens: int) -> tuple[Raster, ...]:
    """Return the rasters of a sample with V = `tokens` image tokens; without grids, one row of all its tokens.

    This row lies on no image: its `image` is NO_IMAGE.
    """
    return rasters(grids) or (Raster(NO_IMAGE, (0.0, 0.0, 1.0, 1.0), False, np.arange(tokens)[None]),)


def _joined(tiles: Sequence[Grid]) -> Raster | None:
    """Return the raster of tiles that form a rectangle; None if they differ in size, overlap or leave gaps.

    A tower may leave out pixels at the edge of a tile. Gaps below half a cell are therefore ignored.
    """
    rows, columns = tiles[0].rows, tiles[0].columns
    lefts, tops = (sorted({round(tile.box[axis], 6) for tile in tiles}) for axis in (0, 1))
    places = {(tops.index(round(tile.box[1], 6)), lefts.index(round(tile.box[0], 6))): tile for tile in tiles}
    if len(places) != len(tiles) or len(tiles) != len(lefts) * len(tops):
        return None
    for (down, across), tile in places.items():
        if (tile.rows, tile.columns) != (rows, columns):
            return None
        for starts, number, axis, cells in ((lefts, across, 0, columns), (tops, down, 1, rows)):
            start, stop = tile.box[axis], tile.box[axis + 2]
            if number + 1 < len(starts) and abs(starts[number + 1] - stop) > (stop - start) / cells / 2:
                return None
    tokens = np.block(
        [[token_numbers(places[row, column]) for column in range(len(lefts))] for row in range(len(tops))]
    )
    first, last = places[0, 0], places[len(tops) - 1, len(lefts) - 1]
    return Raster(first.image, (*first.box[:2], *last.box[2:]), False, tokens)


def main_raster(grids: Sequence[Grid]) -> Raster | None:
    """Return the raster with the finest view of the first image, to show a single map; None without grids."""
    own = rasters(grids)
    return next((raster for raster in own if not raster.overview), own[0] if own else None)


def on_grid(shares: np.ndarray, grid: Grid | Raster) -> np.ndarray:
    """Return the part of `shares` [L, V] that a grid or raster covers: [L, rows, columns]."""
    return shares[:, grid.tokens if isinstance(grid, Raster) else token_numbers(grid)]


def token_numbers(grid: Grid) -> np.ndarray:
    """Return the position of each cell's token in the V axis: [rows, columns]."""
    starts = grid.start + (grid.row_stride or grid.columns) * np.arange(grid.rows)
    return starts[:, None] + np.arange(grid.columns)


def cell_box(
    grid: Grid | Raster, row: int, column: int, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return (left, top, right, bottom) of a cell in pixels of an image of `width` x `height`.

    If the processor padded the image, the box may lie outside the image. If it cropped the image, no cell covers the
    margins.
    """
    left, top, right, bottom = grid.box
    across, down = (right - left) / grid.columns, (bottom - top) / grid.rows
    return (
        (left + column * across) * width,
        (top + row * down) * height,
        (left + (column + 1) * across) * width,
        (top + (row + 1) * down) * height,
    )


def cell_at(grid: Grid | Raster, x: float, y: float, width: float, height: float) -> tuple[int, int] | None:
    """Return (row, column) of the cell at pixel (x, y) of an image of `width` x `height`; None outside the grid.

    A point on the edge between two cells belongs to the right or lower cell.
    """
    left, top, right, bottom = grid.box
    column = math.floor((x / width - left) / (right - left) * grid.columns)
    row = math.floor((y / height - top) / (bottom - top) * grid.rows)
    return (row, column) if 0 <= row < grid.rows and 0 <= column < grid.columns else None
