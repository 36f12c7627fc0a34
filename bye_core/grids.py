"""Where image tokens lie: shares of the attention on them, cut to grids, and a grid's cells on its picture. Pure.

`cell_box` and `cell_at` are the whole geometry; the page's script repeats them line by line.
"""

from __future__ import annotations

import math

import numpy as np

from bye_core.records import Grid


def image_shares(rows: np.ndarray) -> np.ndarray:
    """Head-mean image attention [L, V] -> its share among the image tokens [L, V], float64, NaN where there is none."""
    rows = np.asarray(rows, np.float64)
    total = rows.sum(axis=-1, keepdims=True)
    return np.divide(rows, total, out=np.full_like(rows, np.nan), where=total > 0)


def on_grid(shares: np.ndarray, grid: Grid) -> np.ndarray:
    """The part of `shares` [L, V] that one grid covers -> [L, rows, columns]."""
    stop = grid.start + grid.rows * grid.columns
    return shares[:, grid.start : stop].reshape(-1, grid.rows, grid.columns)


def cell_box(grid: Grid, row: int, column: int, width: float, height: float) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of a cell in pixels of a picture `width` x `height`.

    Beyond the picture where the processor padded; the cells of a cropped picture leave a margin free.
    """
    left, top, right, bottom = grid.box
    across, down = (right - left) / grid.columns, (bottom - top) / grid.rows
    return (
        (left + column * across) * width,
        (top + row * down) * height,
        (left + (column + 1) * across) * width,
        (top + (row + 1) * down) * height,
    )


def cell_at(grid: Grid, x: float, y: float, width: float, height: float) -> tuple[int, int] | None:
    """(row, column) of the cell under pixel (x, y) of a picture `width` x `height`; None outside of the grid.

    A cell owns its left and top edge.
    """
    left, top, right, bottom = grid.box
    column = math.floor((x / width - left) / (right - left) * grid.columns)
    row = math.floor((y / height - top) / (bottom - top) * grid.rows)
    return (row, column) if 0 <= row < grid.rows and 0 <= column < grid.columns else None
