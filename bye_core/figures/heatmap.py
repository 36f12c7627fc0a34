"""Attention over an image: numbers for the page's canvas, and small images per layer (Figure 2 of the BYE paper)."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image
from plotly.colors import sample_colorscale, unlabel_rgb

from bye_core.figures.theme import SCALE
from bye_core.grids import NO_MAP, Raster, image_shares, on_grid, shown_rasters
from bye_core.records import AttentionRows, Grid

# Shares are sent as whole numbers of millionths, which take half the space of decimals.
UNIT = 1e-6

# Palette entry 0 is transparent, for values that are NaN. The other entries are the colour scale. They are few, because
# every PNG file contains the palette.
MISSING, LEVELS = 0, 128


def layer_strip(rows: np.ndarray, grids: Sequence[Grid], normalise: str = "layer") -> list[list[np.ndarray]]:
    """Return, for every layer of `AttentionRows.rows` [L, V], one image [rows, columns] per raster: floats 0..1 or NaN.

    normalise  "layer": each layer's largest share, over all rasters, becomes 1, to show where every layer looks;
               "sample": the largest share of all layers becomes 1, to show which layers collapse
    """
    shares = image_shares(rows)
    known = np.where(np.isfinite(shares), shares, 0.0)
    peak = known.max(axis=1, keepdims=True) if normalise == "layer" else np.full((len(shares), 1), known.max(initial=0))
    scaled = shares / np.where(peak > 0, peak, 1)
    cut = [on_grid(scaled, raster) for raster in shown_rasters(grids, scaled.shape[1])]
    return [[part[layer] for part in cut] for layer in range(len(scaled))]


def scale_colors(name: str = SCALE, count: int = LEVELS) -> np.ndarray:
    """Return one of plotly's sequential scales as evenly spaced colours [count, 3] uint8."""
    colors = sample_colorscale(name, np.linspace(0, 1, count).tolist())
    return np.array([unlabel_rgb(color) for color in colors]).round().astype(np.uint8)


@lru_cache
def _palette(scale: str) -> bytes:
    return bytes(3) + scale_colors(scale).tobytes()


def png_uri(image: np.ndarray, scale: str = SCALE) -> str:
    """Return floats 0..1 [rows, columns] as a PNG data URI: one pixel per cell, colours of `scale`, NaN transparent.

    Enlarge the image on the page with `image-rendering: pixelated`.
    """
    known = np.isfinite(image)
    level = 1 + (np.clip(np.where(known, image, 0), 0, 1) * (LEVELS - 1)).round()
    bitmap = Image.fromarray(np.where(known, level, MISSING).astype(np.uint8)).convert("P")
    bitmap.putpalette(_palette(scale))
    content = io.BytesIO()
    bitmap.save(content, "PNG", transparency=MISSING)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def strip_uris(rows: np.ndarray, grids: Sequence[Grid], normalise: str = "layer") -> list[list[str]]:
    """Return the images of `layer_strip` as PNG data URIs: one list per layer, one entry per raster."""
    return [[png_uri(image) for image in layer] for layer in layer_strip(rows, grids, normalise)]


def scale_css(name: str = SCALE, stops: int = 9) -> str:
    """Return the colour scale `name` as a CSS gradient for legends: "linear-gradient(to right, rgb(...), ...)"."""
    colors = ", ".join(f"rgb({r}, {g}, {b})" for r, g, b in scale_colors(name, stops).tolist())
    return f"linear-gradient(to right, {colors})"


def overlay_payload(rows: AttentionRows) -> dict[str, Any]:
    """Return one sample's attention for the page's canvas, ready for `json.dumps` (without NaN).

    id, layers        the sample and L
    unit              the value of one step of `values`: 1e-6
    grids             one entry for each raster of the sample (see bye_core.grids), in order:
      image, rows, columns, box, overview   as in records.Grid
      values [L]      rows * columns whole numbers, row-major; times `unit` the share of the image attention (BYE,
                      Eq. 4, divided by the sum over all V image tokens); null where a layer is undefined
      peak [L]        {"row", "column", "share"} of the cell with the largest share in this raster, or null
      mass [L]        share of ALL attention that falls on this raster, 0..1, or null
    note              why there is no map, if no grid is known; then the only entry of `grids` is a strip of all tokens,
                      with -1 as its image
    mean              the same `values`, `peak` and `mass` for the mean over the layers, one entry a raster
    """
    raw = np.asarray(rows.rows, np.float64)
    shares = image_shares(raw)
    known = np.isfinite(shares).all(axis=1)
    own = shown_rasters(rows.grids, raw.shape[1])
    return {
        **({} if rows.grids else {"note": NO_MAP}),
        "id": rows.id,
        "layers": len(raw),
        "unit": UNIT,
        "grids": [
            {
                "image": raster.image,
                "rows": raster.rows,
                "columns": raster.columns,
                "box": [float(edge) for edge in raster.box],
                "overview": raster.overview,
                **_layers(on_grid(shares, raster), on_grid(raw, raster)),
            }
            for raster in own
        ],
        "mean": [
            {name: column[0] for name, column in _layers(*_means(shares, raw, known, raster)).items()} for raster in own
        ],
    }


def mean_payload(rows: AttentionRows, layers: Sequence[int]) -> dict[str, Any]:
    """Return the payload of `overlay_payload` with one layer: the mean of the defined ones of `layers`."""
    shares = image_shares(np.asarray(rows.rows, np.float64)[list(layers)])
    known = shares[np.isfinite(shares).all(axis=1)]
    mean = known.mean(axis=0) if len(known) else np.full(shares.shape[1], np.nan)
    return overlay_payload(replace(rows, rows=mean[None]))


def _means(shares: np.ndarray, raw: np.ndarray, known: np.ndarray, raster: Raster) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of (`shares`, `raw`) over the defined layers, each [1, rows, columns]; NaN if there are none."""
    undefined = np.full((1, raster.rows, raster.columns), np.nan)
    if not known.any():
        return undefined, undefined
    share, mass = (on_grid(array[known].mean(axis=0, keepdims=True), raster) for array in (shares, raw))
    return share, mass


def _layers(shares: np.ndarray, raw: np.ndarray) -> dict[str, list[Any]]:
    """Return `values`, `peak` and `mass` (see overlay_payload) of L layers on one raster; arrays [L, rows, columns]."""
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
    """Return the heatmap's `count` colours as [red, green, blue], 0..255, from zero to the largest share."""
    return scale_colors(count=count).tolist()
