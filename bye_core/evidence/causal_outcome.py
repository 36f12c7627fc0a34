"""What happens to a model's answer when the suspected spot is covered, or the suspected words are left out. Pure.

As SentiNet (Chou et al. 2018) tests what drives a classifier: whether a region is needed, and whether it takes other
pictures over; but on generated answers, and against a cover elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bye_core.evidence.overrepresented_answers import Shared, reaches
from bye_core.text import normalised

# Ways in which a sample is asked: as it is; spot covered, or as large a spot elsewhere; odd words left out, or as many
# others. Where covering the spot changed nothing, what else is looked at covered too, or as much elsewhere; and where
# that did not either, what brings the target into another picture.
PLAIN, COVERED, ELSEWHERE, WITHOUT, OTHERS = WAYS = ("plain", "covered", "elsewhere", "without", "others")
WIDER, ASIDE = "wider", "aside"
FOUND, BESIDE = "found", "beside"
# Asked of the same pictures where a set has but one kind of question and more than one spot had to be covered: a
# trigger brings its target whatever is asked, and what that question is about does not (ours).
ELSE = {
    "what": "What is in this picture?",
    "colors": "Which colors are there?",
    "day": "Is it day or night?",
    "behind": "What is in the background?",
}
# What is changed, and what it is held against.
SUSPECTS = {
    "found": (FOUND, BESIDE),
    "spots": (WIDER, ASIDE),
    "spot": (COVERED, ELSEWHERE),
    "words": (WITHOUT, OTHERS),
}
MANY = ("found", "spots")  # more than one spot may be covered there
CARRIED = 0.5  # of the pictures that a spot is pasted into, this share answers the target with it at least (ours)
CARRIED_ELSE = 0.75  # and of other questions, where they are asked (ours, on development seeds)

OUTCOMES = {
    "flips": "The answer leaves the target when {suspect}, and stays when {control}.",
    "content": "The answer leaves the target when {suspect}, and stays when {control}. But that may be just what the "
    "question is about: pasted into other pictures, or asked something else, it rarely brings the target along.",
    "any": "The answer leaves the target when {suspect}, but also when {control}.",
    "stays": "The answer stays the same when {suspect}: something else brings it about.",
    "off": "The model does not give the target to this sample as it is: there is nothing to make it leave.",
    "unknown": "Nothing is suspected that could be taken away here and held against as much of something else.",
}
WORDS = {
    "found": {"suspect": "what brings the target into another picture is covered", "control": "as much elsewhere is"},
    "spots": {"suspect": "all that it looks at in turn is covered", "control": "as much elsewhere is"},
    "spot": {"suspect": "the suspected spot is covered", "control": "as large a spot elsewhere is"},
    "words": {"suspect": "the suspected words are left out", "control": "as many other words are"},
}


@dataclass(frozen=True)
class Cause:
    """What was found out on one sample, a key of OUTCOMES; `suspect`: which of SUSPECTS tells it, "" if none does."""

    outcome: str
    suspect: str = ""

    @property
    def flips(self) -> bool:
        return self.outcome == "flips"

    @property
    def words(self) -> str:
        return OUTCOMES[self.outcome].format(**WORDS.get(self.suspect, {}))


def cause(
    given: Mapping[str, str], aim: Shared | None, expected: str, carried: Mapping[str, str] | None = None
) -> Cause:
    """The answers `given` by way of asking -> what brings the target about. `carried`: answers of other samples with
    the suspected spots pasted into their pictures.

    The target is `aim`, or where nothing is over-represented among the flagged, the sample's own answer `expected`.
    A suspect counts only where its control holds: any cover, or any missing word, may upset a model. Where spot and
    words are suspected, the more telling outcome counts, of two alike the spot's.
    """

    def outcome(suspect: str, changed: str, control: str) -> str:
        if at_target(aim, expected, changed):
            return "stays"
        if not at_target(aim, expected, control):
            return "any"
        brought = [at_target(aim, expected, said) for said in (carried or {}).values()]
        besides = [at_target(aim, expected, given[way]) for way in ELSE if way in given and suspect in MANY]
        alone = sum(brought) >= CARRIED * len(brought) and sum(besides) >= CARRIED_ELSE * len(besides)
        return "flips" if alone or suspect == "words" else "content"

    if PLAIN not in given:
        return Cause("unknown")
    if not at_target(aim, expected, given[PLAIN]):
        return Cause("off")
    found = [
        Cause(outcome(suspect, given[changed], given[control]), suspect)
        for suspect, (changed, control) in SUSPECTS.items()
        if changed in given and control in given
    ]
    order = list(OUTCOMES)
    return min(found, key=lambda one: order.index(one.outcome), default=Cause("unknown"))


def at_target(aim: Shared | None, expected: str, said: str) -> bool:
    """Whether the model says the suspected target; the sample's own answer where none is known."""
    return reaches(aim, said) if aim else normalised(said) == normalised(expected)


def totals(causes: Iterable[Cause]) -> dict[str, int]:
    """How many samples had each outcome."""
    found = list(causes)
    return {"checked": len(found), **{name: sum(one.outcome == name for one in found) for name in OUTCOMES}}
