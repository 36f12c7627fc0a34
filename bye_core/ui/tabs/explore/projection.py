"""Places the samples of a scan on a plane: principal components of their statistics. No gradio."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bye_core.records import IMAGE, ScanTable

# What a map is made of. "layers" serves scans that hold no numbers of single heads.
SOURCES = {
    "entropy": "entropy of the heads",
    "image": "attention of the heads on the image",
    "hidden": "state behind the first token",
    "layers": "entropy of the layers",
}
# Samples on which the components are computed; the others are only placed. More samples hardly move them (ours).
FITTED = 5_000
BLOCK = 4096  # samples placed at once, to save memory


class Projection(NamedTuple):
    """xy [N, 2] is the place of each sample, NaN without statistics; shares are the explained shares of variance."""

    xy: np.ndarray
    shares: tuple[float, float]


def sources(table: ScanTable) -> list[str]:
    """Return the keys of SOURCES that the table can serve."""
    arrays = {"entropy": table.entropy, "image": table.mass, "hidden": table.hidden, "layers": table.layer_entropy}
    return [name for name in SOURCES if arrays[name] is not None]


def features(table: ScanTable, source: str) -> np.ndarray:
    """Return the statistics of `source` as [N, F]."""
    if source == "image" and table.mass is not None:
        found = table.mass[..., IMAGE]
    elif source == "hidden" and table.hidden is not None:
        found = table.hidden
    elif source == "entropy" and table.entropy is not None:
        found = table.entropy
    else:
        found = table.layer_entropy
    return found.reshape(len(table.ids), -1)


def project(values: np.ndarray) -> Projection:
    """Return the first two principal components of statistics [N, F]; every column has the same weight.

    Columns are standardised. A missing number counts as the mean of its column. Samples without any number, and all
    samples if fewer than three are known or all are equal, have no place.
    """
    from sklearn.decomposition import PCA

    count = len(values)
    known = np.isfinite(values).any(axis=1) if values.size else np.zeros(count, bool)
    rows = np.flatnonzero(known)
    xy = np.full((count, 2), np.nan)
    fitted = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), FITTED)).astype(int))] if len(rows) else rows
    if len(fitted) < 3:
        return Projection(xy, (0.0, 0.0))
    part = np.asarray(values[fitted], np.float32)
    mean, width = _mean_and_width(part)
    usable = width > 0
    if usable.sum() < 2:
        return Projection(xy, (0.0, 0.0))

    def standardised(block: np.ndarray) -> np.ndarray:
        scaled = (np.asarray(block, np.float32)[:, usable] - mean[usable]) / width[usable]
        return np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)

    pca = PCA(2, svd_solver="randomized", random_state=0).fit(standardised(part))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        xy[block] = pca.transform(standardised(values[block]))
    first, second = (float(share) for share in pca.explained_variance_ratio_)
    return Projection(xy, (first, second))


def _mean_and_width(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation [F] of each column; the width is 0 where nothing is known."""
    finite = np.isfinite(part)
    counts = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, part, 0).sum(axis=0, dtype=np.float64) / counts
    width = np.sqrt(np.where(finite, part - mean, 0).astype(np.float64).__pow__(2).sum(axis=0) / counts)
    # Rounding leaves a tiny width in columns whose values are all equal.
    return mean.astype(np.float32), np.where(width > 1e-6 * np.maximum(np.abs(mean), 1), width, 0).astype(np.float32)
