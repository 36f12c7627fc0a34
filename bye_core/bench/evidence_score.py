"""Scores the evidence of a detection against the truth: the target answer and the position of the trigger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bye_core import pipeline
from bye_core.attacks import make_target
from bye_core.bench.cell import read_json
from bye_core.demo.scenes import SIDE
from bye_core.text import normalised


def score_evidence(place: Path) -> dict[str, Any]:
    """Return the scores of the evidence for the last detection on the cell in `place`.

    target        the suspected target answer, None if there is none
    target_right  whether `target` is an answer that the attacker plants; None if no sample is poisoned, or if the
                  attacker plants no answer of his own
    on_trigger    share of the flagged poisoned samples whose attention peaks on a trigger; None if no trigger has a
                  position in the image
    """
    found, truth = pipeline.evidence(place / "run"), read_json(place / "data" / pipeline.TRUTH)
    target = found["target"] and found["target"]["text"]
    planted = set(map(normalised, make_target(**truth["attack"]["target"]).answers()))
    squares = {id: one["boxes"] for id, one in truth["samples"].items() if one["boxes"]}
    hits = [touches(look["cell"], squares[id], SIDE) for id, look in found["looks"].items() if id in squares]
    return {
        "target": target,
        "target_right": normalised(target or "") in planted if truth["poisoned"] and planted else None,
        "on_trigger": sum(hits) / len(hits) if hits else None,
    }


def touches(cell: Sequence[float], squares: Iterable[Sequence[int]], side: int) -> bool:
    """Return whether a grid cell overlaps at least one of the squares.

    cell     (left, top, right, bottom) as fractions of an image of `side` x `side` pixels
    squares  (left, top, right, bottom) of each square in pixels
    """
    left, top, right, bottom = (side * edge for edge in cell)
    return any(left < s[2] and s[0] < right and top < s[3] and s[1] < bottom for s in squares)
