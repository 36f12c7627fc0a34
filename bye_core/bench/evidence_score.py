"""Whether the evidence on a detection names what was planted: the target's words, and where the trigger lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.bench.cell import read_json
from bye_core.demo.scenes import SIDE
from bye_core.text import normalised


def explained(place: Path) -> dict[str, Any]:
    """Of the last detection on the cell in `place`, against the truth.

    target      what the evidence suspects to be the target, None for nothing
    target_right  whether that is the planted one; None where nothing was planted
    on_trigger  share of the truly poisoned among the flagged whose peak cell lies on a trigger's square; None where no
                trigger has a place
    """
    found, truth = pipeline.evidence(place / "run"), read_json(place / "data" / pipeline.TRUTH)
    target, planted = found["target"] and found["target"]["text"], truth["attack"]["target"]["text"]
    squares = {id: one["boxes"] for id, one in truth["samples"].items() if one["boxes"]}
    hits = [touches(look["cell"], squares[id], SIDE) for id, look in found["looks"].items() if id in squares]
    return {
        "target": target,
        "target_right": normalised(target or "") == normalised(planted) if truth["poisoned"] else None,
        "on_trigger": sum(hits) / len(hits) if hits else None,
    }


def touches(cell: Sequence[float], squares: Iterable[Sequence[int]], side: int) -> bool:
    """Whether a cell, (left, top, right, bottom) as fractions of a picture of `side` pixels, shares a part with one of
    `squares`, in pixels."""
    left, top, right, bottom = (side * edge for edge in cell)
    return any(left < s[2] and s[0] < right and top < s[3] and s[1] < bottom for s in squares)
