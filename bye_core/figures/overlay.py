"""What the page's canvas needs to lay attention over a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from bye_core.figures.strip import scale_colors
from bye_core.grids import image_shares, on_grid
from bye_core.records import AttentionRows, Grid

# Shares travel as whole millionths: half the size of decimals, and exact enough for 0.001%.
UNIT = 1e-6


def overlay_payload(rows: AttentionRows) -> dict[str, Any]:
    """One sample's attention, ready for `json.dumps` (no NaN in it).

    id, layers        the sample and L
    unit              what one step of `values` is worth: 1e-6
    grids             one entry for each of the sample's grids, in its order:
      image, rows, columns, box   as in records.Grid
      values [L]      rows * columns whole numbers, row-major; times `unit` the share of the image attention (BYE,
                      Eq. 4, divided by the sum over all V image tokens); null where a layer is undefined
      peak [L]        {"row", "column", "share"} of the cell with the largest share in this grid, or null
      mass [L]        share of ALL attention that falls on this grid, 0..1, or null
    mean              the same `values`, `peak` and `mass` for the mean over the layers, one entry a grid
    """
    raw = np.asarray(rows.rows, np.float64)
    shares = image_shares(raw)
    known = np.isfinite(shares).all(axis=1)
    return {
        "id": rows.id,
        "layers": len(raw),
        "unit": UNIT,
        "grids": [
            {
                "image": grid.image,
                "rows": grid.rows,
                "columns": grid.columns,
                "box": [float(edge) for edge in grid.box],
                **_layers(on_grid(shares, grid), on_grid(raw, grid)),
            }
            for grid in rows.grids
        ],
        "mean": [
            {name: column[0] for name, column in _layers(*_means(shares, raw, known, grid)).items()}
            for grid in rows.grids
        ],
    }


def _means(shares: np.ndarray, raw: np.ndarray, known: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the layers that are defined, [1, rows, columns] each; NaN where none is."""
    nothing = np.full((1, grid.rows, grid.columns), np.nan)
    if not known.any():
        return nothing, nothing
    return tuple(on_grid(array[known].mean(axis=0, keepdims=True), grid) for array in (shares, raw))


def _layers(shares: np.ndarray, raw: np.ndarray) -> dict[str, list[Any]]:
    """Values, peaks and masses of L layers on one grid; both arrays [L, rows, columns]."""
    parts: dict[str, list[Any]] = {"values": [], "peak": [], "mass": []}
    for share, attention in zip(shares, raw, strict=True):
        if not np.isfinite(share).all():
            for column in parts.values():
                column.append(None)
            continue
        row, column = np.unravel_index(share.argmax(), share.shape)
        parts["values"].append((share.ravel() / UNIT).round().astype(int).tolist())
        parts["peak"].append({"row": int(row), "column": int(column), "share": round(float(share.max()), 6)})
        parts["mass"].append(round(float(attention.sum()), 6))
    return parts


def scale_stops(count: int = 256) -> list[list[int]]:
    """The heatmaps' colours for the canvas: `count` [red, green, blue], 0..255, from no to the largest share."""
    return scale_colors(count=count).tolist()
