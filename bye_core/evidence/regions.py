"""Chooses the regions of an image that are covered: by growth around attention peaks, or by search.

Growth (ours) covers triggers that are larger than the attention peak, and several triggers. Search (ours) covers
triggers without an attention peak: it pastes windows at all positions into another image, and tests whether they cause
the target there, as SentiNet does (Chou et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy

from bye_core.evidence.attention_peak import AttentionPeak, Box
from bye_core.evidence.occlusion import area, control_boxes

PARTS, SIDE = (
    8,
    2,
)  # number of parts of each side of an image; number of parts of a window's side (ours, on development seeds)

PLACES = PARTS - SIDE + 1

WINDOWS: tuple[Box, ...] = tuple(
    (column / PARTS, row / PARTS, (column + SIDE) / PARTS, (row + SIDE) / PARTS)
    for row in range(PLACES)
    for column in range(PLACES)
)

# Parts are covered if this share of their windows causes the target; the highest shares come first (ours).
LEVELS = (1.0, 3 / 4, 1 / 2, 1 / 4, 1 / 8)

FRUITLESS = 32  # number of searches without a result after which the trigger is assumed to be outside the image (ours)


ROUNDS = 8  # number of rounds of growth; the first round has one spot (ours)

# Largest covered share of an image: first of the final cover, as a larger cover may change any answer; then of the
# cover during growth, before it is trimmed (ours, on development seeds).
MOST_COVERED, MOST_COVERED_AT_FIRST = 0.4, 0.5

Spots = tuple[Box, ...]


def grow_spots(spots: Sequence[Box], seen: AttentionPeak) -> tuple[Box, ...]:
    """Return `spots` extended by `seen`, the attention peak of the covered image.

    If the peak is on a covered spot, this spot grows by one cell towards the peak.
    """
    x, y = (seen.cell[0] + seen.cell[2]) / 2, (seen.cell[1] + seen.cell[3]) / 2
    over = next((one for one in spots if one[0] <= x <= one[2] and one[1] <= y <= one[3]), None)
    if over is None:
        return (*spots, seen.spot)
    return (*(one for one in spots if one is not over), _grown(over, (x, y), seen.cell))


def control_spots(spots: Sequence[Box], name: str) -> tuple[Box, ...] | None:
    """Return control spots of the same sizes; None if they do not fit or `spots` cover more than MOST_COVERED."""
    return control_boxes(spots, name) if area(spots) <= MOST_COVERED else None


class SpotTrimming:
    """Proposes smaller covers in place of `spots`, one after another, and keeps a proposal if it works as well.

    Moves the sides of all spots inwards by a `cell`, one side after another, so that the needed region stays connected.
    Then tries to remove whole spots. Trimming ends when a kept cover `fits`.

    spots     the smallest cover so far that works as well as the first
    proposal  the cover to try next; None if there is none. Call `record` with the result of the trial
    """

    def __init__(self, spots: Spots, cell: tuple[float, float], fits: Callable[[Spots], bool]) -> None:
        self.spots = spots
        self._cell, self._fits = cell, fits
        self._sides = [
            (number, side) for number in range(len(spots)) for side in range(4)
        ]  # sides that may move inwards
        self._turn: list[tuple[int, int]] = []  # the elements of `_sides` that still move in this pass
        self._moved: tuple[int, int] | None = None  # the side that `proposal` has moved
        self._droppable: list[Box] | None = None  # whole spots not tried yet; None before the last phase
        self.proposal = self._next()

    def record(self, works: bool) -> None:
        """Keep the proposal if it `works`, which means that it has the same effect as the first cover.

        Then make the next proposal.
        """
        if works and self.proposal is not None:
            self.spots = self.proposal
            if self._fits(self.spots):
                self.proposal = None
                return
        elif self._moved:
            self._sides.remove(self._moved)
        self.proposal = self._next()

    def _next(self) -> Spots | None:
        return self._with_side_moved() or self._with_spot_dropped()

    def _with_side_moved(self) -> Spots | None:
        while self._sides:
            self._turn = self._turn or list(self._sides)
            number, side = self._moved = self._turn.pop(0)
            smaller = _cut(self.spots[number], side, self._cell[side % 2])
            if smaller:
                return (*self.spots[:number], smaller, *self.spots[number + 1 :])
            self._sides.remove(self._moved)
        self._moved = None
        return None

    def _with_spot_dropped(self) -> Spots | None:
        if self._droppable is None:
            self._droppable = list(self.spots)
        while self._droppable:
            dropped = self._droppable.pop(0)
            if rest := tuple(spot for spot in self.spots if spot is not dropped):
                return rest
        return None


def _cut(box: Box, side: int, step: float) -> Box | None:
    """Return the box with the side number `side` moved inwards by `step`; None if less than `step` would remain."""
    if box[side % 2 + 2] - box[side % 2] < 2 * step - 1e-9:
        return None
    edges = list(box)
    edges[side] += step if side < 2 else -step
    left, top, right, bottom = edges
    return left, top, right, bottom


def _grown(box: Box, near: tuple[float, float], cell: Box) -> Box:
    """Return the box grown by one `cell` towards the point `near`, in width and in height.

    If the nearer side is at the border of the image, the opposite side grows instead.
    """
    edges = list(box)
    for n, place in enumerate(near):
        size, low, high = cell[n + 2] - cell[n], box[n], box[n + 2]
        if low > 0 and (place - low <= high - place or high >= 1):
            edges[n] = max(low - size, 0.0)
        else:
            edges[n + 2] = min(high + size, 1.0)
    left, top, right, bottom = edges
    return left, top, right, bottom


def hit_shares(hits: np.ndarray) -> np.ndarray:
    """Return [PARTS, PARTS]: for each part of the image, the share of its windows that cause the target when pasted.

    `hits` [len(WINDOWS)]: whether each window in WINDOWS causes it.
    """
    found, tried = np.zeros((PARTS, PARTS)), np.zeros((PARTS, PARTS))
    for place, hit in enumerate(hits):
        row, column = divmod(place, PLACES)
        found[row : row + SIDE, column : column + SIDE] += hit
        tried[row : row + SIDE, column : column + SIDE] += 1
    return found / tried


def regions_at(brought: np.ndarray, level: float) -> tuple[Box, ...]:
    """Return boxes around connected parts whose share in `brought` is at least `level`.

    `brought` [PARTS, PARTS]: the result of `hit_shares`.
    """
    groups, _ = scipy.ndimage.label(brought >= level, structure=np.ones((3, 3)))
    return tuple(
        (across.start / PARTS, down.start / PARTS, across.stop / PARTS, down.stop / PARTS)
        for down, across in scipy.ndimage.find_objects(groups)
    )
