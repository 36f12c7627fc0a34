"""Covering more than one spot: where a model looks once the first is covered, and next to it; then less again. Pure.

A trigger may be larger than what a model looks at, and there may be several of which each does (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from bye_core.evidence.occlusion import area, elsewhere
from bye_core.evidence.places import Box, Look

ROUNDS = 8  # times that more and more is covered, the first spot alone among them (ours)
# Of a picture's area (ours, on development seeds): with more gone any answer may leave; and so much is covered at most
# until it is known what part of that counts.
MOST, MOST_AT_FIRST = 0.4, 0.5
Spots = tuple[Box, ...]


def widened(spots: Sequence[Box], seen: Look) -> tuple[Box, ...]:
    """`spots` and where the model looks with them covered. Where that is a covered spot still, it grows by a cell on
    the sides that it looks at."""
    x, y = (seen.cell[0] + seen.cell[2]) / 2, (seen.cell[1] + seen.cell[3]) / 2
    over = next((one for one in spots if one[0] <= x <= one[2] and one[1] <= y <= one[3]), None)
    if over is None:
        return (*spots, seen.spot)
    return (*(one for one in spots if one is not over), _grown(over, (x, y), seen.cell))


def controlled(spots: Sequence[Box], name: str) -> tuple[Box, ...] | None:
    """As much elsewhere; None where that does not fit, or `spots` take more than MOST of the picture."""
    return elsewhere(spots, name) if area(spots) <= MOST else None


def trimmed(
    spots: Spots, cell: tuple[float, float], fits: Callable[[Spots], bool]
) -> Generator[Spots, bool | None, Spots]:
    """Yields covers to try in place of `spots`, each told whether it does as well; returns the first of those that do
    which `fits`, else the last.

    All spots lose rows and columns of a `cell`'s width and height in turn: of what is needed much stays whole, so that
    it may bring the target along. Whole ones go last.
    """
    sides = [(number, side) for number in range(len(spots)) for side in range(4)]
    while sides:
        for number, side in tuple(sides):
            less = _cut(spots[number], side, cell[side % 2])
            tried = less and (*spots[:number], less, *spots[number + 1 :])
            if not tried or not (yield tried):
                sides.remove((number, side))
            elif fits(spots := tried):
                return spots
    for one in spots:
        rest = tuple(other for other in spots if other is not one)
        if rest and (yield rest) and fits(spots := rest):
            return spots
    return spots


def _cut(box: Box, side: int, step: float) -> Box | None:
    """Smaller by `step` on a side; None where not that much would be left."""
    if box[side % 2 + 2] - box[side % 2] < 2 * step - 1e-9:
        return None
    edges = list(box)
    edges[side] += step if side < 2 else -step
    left, top, right, bottom = edges
    return left, top, right, bottom


def _grown(box: Box, near: tuple[float, float], cell: Box) -> Box:
    """By the size of `cell` at the nearer side each way; at the other one where the nearer is the picture's border."""
    edges = list(box)
    for n, place in enumerate(near):
        size, low, high = cell[n + 2] - cell[n], box[n], box[n + 2]
        if low > 0 and (place - low <= high - place or high >= 1):
            edges[n] = max(low - size, 0.0)
        else:
            edges[n + 2] = min(high + size, 1.0)
    left, top, right, bottom = edges
    return left, top, right, bottom
