"""The strip of all layers (the paper's Figure 2): where a sample's first answer token looks, as small images."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image
from plotly.colors import sample_colorscale, unlabel_rgb

from bye_core.figures.theme import SCALE
from bye_core.grids import image_shares, on_grid
from bye_core.records import Grid

NORMALISATIONS = ("layer", "sample")

# Palette entry 0 is transparent (a layer without a visible image token), the others are the scale: fewer than a
# palette could hold, since it travels with every image.
MISSING, LEVELS = 0, 128


def layer_strip(rows: np.ndarray, grids: Sequence[Grid], normalise: str = "layer") -> list[list[np.ndarray]]:
    """`AttentionRows.rows` [L, V] -> for every layer one image [rows, columns] a grid, floats 0..1, NaN if undefined.

    normalise  "layer": each layer's largest share, over all grids, becomes 1: shows where every layer looks;
               "sample": the largest share of all layers becomes 1: shows which layers collapse
    """
    shares = image_shares(rows)
    known = np.where(np.isfinite(shares), shares, 0.0)
    peak = known.max(axis=1, keepdims=True) if normalise == "layer" else np.full((len(shares), 1), known.max(initial=0))
    scaled = shares / np.where(peak > 0, peak, 1)
    cut = [on_grid(scaled, grid) for grid in grids]
    return [[part[layer] for part in cut] for layer in range(len(scaled))]


def scale_colors(name: str = SCALE, count: int = LEVELS) -> np.ndarray:
    """One of plotly's built-in sequential scales as `count` colours [count, 3] uint8, even in value."""
    colors = sample_colorscale(name, np.linspace(0, 1, count).tolist())
    return np.array([unlabel_rgb(color) for color in colors]).round().astype(np.uint8)


@lru_cache
def _palette(scale: str) -> bytes:
    return bytes(3) + scale_colors(scale).tobytes()


def png_uri(image: np.ndarray, scale: str = SCALE) -> str:
    """Floats 0..1 [rows, columns] -> a PNG data URI with one pixel a cell, in the colours of `scale`; NaN transparent.

    Enlarge it on the page with `image-rendering: pixelated`.
    """
    known = np.isfinite(image)
    level = 1 + (np.clip(np.where(known, image, 0), 0, 1) * (LEVELS - 1)).round()
    picture = Image.fromarray(np.where(known, level, MISSING).astype(np.uint8)).convert("P")
    picture.putpalette(_palette(scale))
    content = io.BytesIO()
    picture.save(content, "PNG", transparency=MISSING)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def strip_uris(rows: np.ndarray, grids: Sequence[Grid], normalise: str = "layer") -> list[list[str]]:
    """`layer_strip` as PNG data URIs: one list a layer, one entry a grid."""
    return [[png_uri(image) for image in layer] for layer in layer_strip(rows, grids, normalise)]


def scale_css(name: str = SCALE, stops: int = 9) -> str:
    """The scale as a CSS gradient, for legends: "linear-gradient(to right, rgb(...), ...)"."""
    colors = ", ".join(f"rgb({r}, {g}, {b})" for r, g, b in scale_colors(name, stops).tolist())
    return f"linear-gradient(to right, {colors})"
