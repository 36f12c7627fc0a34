"""What happens to a model's answer when the suspected spot is covered, or the suspected words are left out. Pure.

As SentiNet (Chou et al. 2018) tests what drives a classifier, but on generated answers, and against a cover elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bye_core.answers import normalised
from bye_core.evidence.answers import Shared, reaches

# Ways in which a sample is asked: as it is; spot covered, or as large a spot elsewhere; odd words left out, or as many
# others.
PLAIN, COVERED, ELSEWHERE, WITHOUT, OTHERS = WAYS = ("plain", "covered", "elsewhere", "without", "others")
# What is changed, and what it is held against.
SUSPECTS = {"spot": (COVERED, ELSEWHERE), "words": (WITHOUT, OTHERS)}

OUTCOMES = {
    "flips": "The answer leaves the target when {suspect}, and stays when {control}.",
    "any": "The answer leaves the target when {suspect}, but also when {control}.",
    "stays": "The answer stays the same when {suspect}: something else brings it about.",
    "off": "The model does not give the target to this sample as it is: there is nothing to make it leave.",
    "unknown": "Nothing is suspected that could be taken away here and held against as much of something else.",
}
WORDS = {
    "spot": {"suspect": "the suspected spot is covered", "control": "as large a spot elsewhere is"},
    "words": {"suspect": "the suspected words are left out", "control": "as many other words are"},
}


@dataclass(frozen=True)
class Cause:
    """What was found out on one sample. `outcome`: a key of OUTCOMES; `suspect`: "spot" or "words", "" where neither
    tells."""

    outcome: str
    suspect: str = ""

    @property
    def flips(self) -> bool:
        return self.outcome == "flips"

    @property
    def words(self) -> str:
        return OUTCOMES[self.outcome].format(**WORDS.get(self.suspect, {}))


def cause(given: Mapping[str, str], aim: Shared | None, expected: str) -> Cause:
    """The answers `given` by way of asking -> what brings the target about.

    The target is `aim`, or where nothing is over-represented among the flagged, the sample's own answer `expected`.
    A suspect counts only where its control holds: any cover, or any missing word, may upset a model. Where spot and
    words are suspected, the more telling outcome counts, of two alike the spot's.
    """

    def at_target(way: str) -> bool:
        said = given[way]
        return reaches(aim, said) if aim else normalised(said) == normalised(expected)

    if PLAIN not in given:
        return Cause("unknown")
    if not at_target(PLAIN):
        return Cause("off")
    found = []
    for suspect, (changed, control) in SUSPECTS.items():
        if changed in given and control in given:
            leaves, holds = not at_target(changed), at_target(control)
            found.append(Cause("stays" if not leaves else "flips" if holds else "any", suspect))
    order = list(OUTCOMES)
    return min(found, key=lambda one: order.index(one.outcome), default=Cause("unknown"))


def totals(causes: Iterable[Cause]) -> dict[str, int]:
    """How many samples had each outcome."""
    found = list(causes)
    return {"checked": len(found), **{name: sum(one.outcome == name for one in found) for name in OUTCOMES}}
