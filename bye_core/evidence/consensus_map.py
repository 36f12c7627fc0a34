"""Compares the mean attention maps of flagged samples and of other samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bye_core.evidence.attention_peak import AttentionPeak, Box, on_image
from bye_core.grids import image_shares, main_raster
from bye_core.records import AttentionRows, Grid

# Largest number of rows or columns of a raster on which maps of different grids are compared (ours).
FINEST = 24
# The views of an image that a model sees both as tiles and as an overview of the whole image; ALL adds them up.
ALL, TILES, OVERVIEW = "all", "tiles", "overview"


@dataclass(frozen=True)
class Consensus:
    """Mean attention maps [rows, columns] over the first image, in shares of the attention on the image tokens.

    flagged    mean map of the flagged samples
    others     mean map of unflagged samples; kinds of question have the same weights as among the flagged samples
    agreement  share 0..1 of the flagged samples whose peak cell is at or beside the cell in which `flagged` is highest
               above `others`
    samples    number of flagged samples that were read
    compared   number of unflagged samples that were read
    """

    flagged: np.ndarray
    others: np.ndarray
    agreement: float
    samples: int
    compared: int

    @property
    def excess(self) -> np.ndarray:
        return self.flagged - self.others

    @property
    def peak(self) -> tuple[int, int]:
        """The (row, column) of the cell in which `flagged` exceeds `others` most."""
        row, column = np.unravel_index(self.excess.argmax(), self.excess.shape)
        return int(row), int(column)

    @property
    def centre(self) -> Box:
        """The centre of mass of the excess around the peak, as a box of width and height 0.

        Its coordinates are fractions of the image.
        """
        (row, column), excess = self.peak, self.excess.clip(0)
        top, left = max(row - 1, 0), max(column - 1, 0)
        part = excess[top : row + 2, left : column + 2]
        weight = part.sum() or 1.0
        down = (part.sum(axis=1) @ (np.arange(part.shape[0]) + top + 0.5)) / weight / excess.shape[0]
        across = (part.sum(axis=0) @ (np.arange(part.shape[1]) + left + 0.5)) / weight / excess.shape[1]
        return float(across), float(down), float(across), float(down)

    def is_near(self, peak: AttentionPeak) -> bool:
        """Return whether the middle of a sample's peak cell is in the raster cell of the common peak or next to it."""
        (row, column), (rows, columns) = self.peak, self.excess.shape
        left, top, right, bottom = peak.cell
        down, across = (top + bottom) / 2 * rows - 0.5 - row, (left + right) / 2 * columns - 0.5 - column
        return peak.image == 0 and max(abs(down), abs(across)) <= 1.5


def of_view(grids: Sequence[Grid], view: str) -> list[Grid]:
    """Return the grids of a view: TILES (also for images without an overview), OVERVIEW, or ALL."""
    return [grid for grid in grids if view == ALL or grid.overview == (view == OVERVIEW)]


def has_views(grids: Sequence[Grid], image: int = 0) -> bool:
    """Return whether the model sees image number `image` both as tiles and as an overview."""
    return len({grid.overview for grid in grids if grid.image == image}) == 2


def common_raster(grids: Iterable[Sequence[Grid]]) -> tuple[int, int]:
    """Return (rows, columns) of the raster for the maps of these samples.

    It is the coarsest of the samples' main rasters, with at most FINEST rows and columns.
    """
    sizes = [(main.rows, main.columns) for own in grids if (main := main_raster(own))] or [(1, 1)]
    return min(FINEST, min(rows for rows, _ in sizes)), min(FINEST, min(columns for _, columns in sizes))


def attention_map(
    rows: AttentionRows, layer: int, raster: tuple[int, int], image: int = 0, view: str = ALL
) -> np.ndarray | None:
    """Return the attention map of one sample; None if `layer` does not see the whole image, or if it lacks the view."""
    shares, grids = image_shares(rows.rows)[layer], of_view(rows.grids, view)
    return on_image(shares, grids, image, raster) if np.isfinite(shares).all() and grids else None


def find_consensus(
    flagged: Sequence[tuple[str, np.ndarray]], others: Sequence[tuple[str, np.ndarray]], looks: Sequence[AttentionPeak]
) -> Consensus:
    """Return the consensus of flagged samples and other samples, both given as (kind of question, map).

    There must be at least one flagged sample. Each flagged sample is compared with the mean of other samples with the
    same kind of question; if there are none, with the mean of all other samples. `looks`: attention peaks of the
    flagged samples.
    """
    everything: np.ndarray = np.mean([own for _, own in others] if others else [np.zeros_like(flagged[0][1])], axis=0)
    kinds = {kind for kind, _ in others}
    usual: dict[str, np.ndarray] = {
        kind: np.mean([own for one, own in others if one == kind], axis=0) for kind in kinds
    }
    against = np.mean([usual.get(kind, everything) for kind, _ in flagged], axis=0)
    found = Consensus(np.mean([own for _, own in flagged], axis=0), against, 0.0, len(flagged), len(others))
    return replace(found, agreement=float(np.mean([float(found.is_near(peak)) for peak in looks] or [0.0])))
