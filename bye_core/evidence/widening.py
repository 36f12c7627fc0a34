"""Covering more than one spot: where a model looks once the first is covered, and next to it. Pure.

A trigger may be larger than what a model looks at, and there may be several of which each does (ours).
"""

from __future__ import annotations

from collections.abc import Sequence

from bye_core.evidence.cover import elsewhere
from bye_core.evidence.places import Box, Look

ROUNDS = 6  # times that a model is asked with more covered (ours)
MOST = 0.4  # of a picture's area: with more gone any answer may leave (ours, on development seeds)


def widened(spots: Sequence[Box], seen: Look) -> tuple[Box, ...]:
    """`spots` and where the model looks with them covered. Where that is a covered spot still, it grows by a cell on
    each side; spots that come to lie on or at each other become one."""
    down, across = seen.cell[3] - seen.cell[1], seen.cell[2] - seen.cell[0]
    x, y = (seen.cell[0] + seen.cell[2]) / 2, (seen.cell[1] + seen.cell[3]) / 2
    over = next((one for one in spots if one[0] <= x <= one[2] and one[1] <= y <= one[3]), None)
    new = _grown(over, across, down) if over else seen.spot
    apart = list(spots)
    while hit := next((one for one in apart if _meet(one, new)), None):
        apart.remove(hit)
        new = (min(hit[0], new[0]), min(hit[1], new[1]), max(hit[2], new[2]), max(hit[3], new[3]))
    return (*apart, new)


def controlled(spots: Sequence[Box], name: str) -> tuple[Box, ...] | None:
    """As much elsewhere; None where that does not fit, or `spots` take more than MOST of the picture."""
    return elsewhere(spots, name) if sum(map(area, spots)) <= MOST else None


def area(box: Box) -> float:
    """Of the whole picture, 0..1."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _grown(box: Box, across: float, down: float) -> Box:
    left, top, right, bottom = box
    return max(left - across, 0.0), max(top - down, 0.0), min(right + across, 1.0), min(bottom + down, 1.0)


def _meet(one: Box, other: Box) -> bool:
    """Overlap, or have a part of an edge in common: one would be filled with what the other covers."""
    common = [min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1)]
    return min(common) > -1e-9 and max(common) > 1e-9
