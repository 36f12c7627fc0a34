"""Where a trigger is that no attention shows: parts of a picture pasted into another, one after another. Pure.

A model may do what a trigger wants without looking at it in any layer that is read. What it needs of the picture brings
the target along wherever it is pasted, as SentiNet (Chou et al. 2018) tests; here the places are tried all over (ours).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import find_objects, label

from bye_core.evidence.places import Box

PARTS, SIDE = 8, 2  # of each side of a picture; of which a window takes so many (ours, on development seeds)
PLACES = PARTS - SIDE + 1
WINDOWS: tuple[Box, ...] = tuple(
    (column / PARTS, row / PARTS, (column + SIDE) / PARTS, (row + SIDE) / PARTS)
    for row in range(PLACES)
    for column in range(PLACES)
)
# Parts are covered of whose windows so many bring the target along: the surest first, then more (ours).
LEVELS = (1.0, 3 / 4, 1 / 2, 1 / 4, 1 / 8)
FRUITLESS = 32  # samples searched in vain until no more are: the trigger is no part of the picture (ours)


def bringing(hits: np.ndarray) -> np.ndarray:
    """Whether each of WINDOWS brings the target along [len(WINDOWS)] -> the share of those on each part that do
    [PARTS, PARTS]."""
    found, tried = np.zeros((PARTS, PARTS)), np.zeros((PARTS, PARTS))
    for place, hit in enumerate(hits):
        row, column = divmod(place, PLACES)
        found[row : row + SIDE, column : column + SIDE] += hit
        tried[row : row + SIDE, column : column + SIDE] += 1
    return found / tried


def spots_at(brought: np.ndarray, level: float) -> tuple[Box, ...]:
    """Boxes around the parts that hang together and of which `level` at least of the windows bring the target along."""
    groups, _ = label(brought >= level, structure=np.ones((3, 3)))
    return tuple(
        (across.start / PARTS, down.start / PARTS, across.stop / PARTS, down.stop / PARTS)
        for down, across in find_objects(groups)
    )
