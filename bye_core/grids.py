"""Maps image tokens to grid cells, and grid cells to boxes in the image. Pure functions only.

The app's script assets/scripts/review/heatmap.js repeats `cell_box` and `cell_at` line by line: change both together.
"""

from __future__ import annotations

import math

import numpy as np

from bye_core.records import Grid


def image_shares(rows: np.ndarray) -> np.ndarray:
    """Divide head-mean image attention [L, V] by its sum over the V image tokens: [L, V] float64, NaN if it is 0."""
    rows = np.asarray(rows, np.float64)
    total = rows.sum(axis=-1, keepdims=True)
    return np.divide(rows, total, out=np.full_like(rows, np.nan), where=total > 0)


def on_grid(shares: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the part of `shares` [L, V] that one grid covers: [L, rows, columns]."""
    return shares[:, token_numbers(grid)]


def token_numbers(grid: Grid) -> np.ndarray:
    """Return the position of each cell's token in the V axis: [rows, columns]."""
    starts = grid.start + (grid.row_stride or grid.columns) * np.arange(grid.rows)
    return starts[:, None] + np.arange(grid.columns)


def cell_box(grid: Grid, row: int, column: int, width: float, height: float) -> tuple[float, float, float, float]:
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


def cell_at(grid: Grid, x: float, y: float, width: float, height: float) -> tuple[int, int] | None:
    """Return (row, column) of the cell at pixel (x, y) of an image of `width` x `height`; None outside the grid.

    A point on the edge between two cells belongs to the right or lower cell.
    """
    left, top, right, bottom = grid.box
    column = math.floor((x / width - left) / (right - left) * grid.columns)
    row = math.floor((y / height - top) / (bottom - top) * grid.rows)
    return (row, column) if 0 <= row < grid.rows and 0 <= column < grid.columns else None
