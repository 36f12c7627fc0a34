"""How the model is asked again about one sample, and what its answers show.

SentiNet (Chou et al. 2018) tests in the same way what drives a classifier: whether a region is needed, and whether it
takes over other pictures. Here answers are generated, and each change is compared with a control.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bye_core.evidence.attention_peak import Box, Look
from bye_core.evidence.occlusion import cover, elsewhere
from bye_core.evidence.overrepresented_answers import Shared, reaches
from bye_core.evidence.overrepresented_words import asked_else, drop, plain
from bye_core.records import Sample
from bye_core.text import normalised

# Of what is asked and covered in which order: one more with every change, so that earlier checks do not count (ours).
PROCEDURE = 2


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


@dataclass(frozen=True)
class Question:
    """What is asked about one sample. What is None or empty is not asked.

    spots, elsewhere  parts of picture number `image` to cover: the suspected ones, and as large ones
    words, others     words to leave out of the question: the suspected ones, and as many others
    carriers          ids of samples into whose pictures the suspected parts may be pasted
    """

    sample: Sample
    image: int = 0
    spots: tuple[Box, ...] = ()
    elsewhere: tuple[Box, ...] = ()
    words: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()

    @property
    def ways(self) -> tuple[str, ...]:
        asked = {PLAIN: True, COVERED: self.spots, ELSEWHERE: self.elsewhere, WITHOUT: self.words, OTHERS: self.others}
        return tuple(way for way in WAYS if asked[way])

    def asked(self, way: str) -> Sample:
        """The sample as it is asked that way."""
        if way in ELSE:
            return asked_else(self.sample, ELSE[way])
        return drop(self.sample, {WITHOUT: self.words, OTHERS: self.others}.get(way, ()))

    def shown(self, way: str, pictures: Sequence[Image.Image]) -> list[Image.Image]:
        """Its pictures as they are shown that way."""
        boxes = {COVERED: self.spots, ELSEWHERE: self.elsewhere}.get(way)
        return [cover(one, boxes) if boxes and n == self.image else one for n, one in enumerate(pictures)]

    def covering(self, spots: tuple[Box, ...], elsewhere: tuple[Box, ...]) -> Question:
        """The same with more covered."""
        return replace(self, spots=spots, elsewhere=elsewhere)

    def key(self, target: Shared | None, *model: str | None) -> str:
        """Another for another spot, other words, other ways of asking, another target or another `model` (its digests).
        Not for other carriers: any will do, and which there are changes with every flag."""
        about = [self.image, self.spots, self.elsewhere, self.words, self.others, model, list(SUSPECTS), ELSE]
        about += [target and (target.kind, target.text), PROCEDURE]
        return hashlib.sha256(json.dumps(about).encode("ascii")).hexdigest()[:16]


def question_of(
    sample: Sample, seen: Look | None, suspected: Sequence[str], carriers: tuple[str, ...] = (), seed: int = 0
) -> Question:
    """How to ask about a sample that looks where `seen` says; `suspected`: words that may be a trigger."""
    here = list(dict.fromkeys(plain(word) for word in sample.question.split()))
    words = tuple(word for word in here if word in suspected)
    rest = [word for word in here if word not in suspected]
    rng = np.random.default_rng([seed, zlib.crc32(sample.id.encode("utf-8", "replace"))])
    # Something must be left to ask.
    others = tuple(rng.permutation(rest)[: len(words)].tolist()) if len(rest) > len(words) else ()
    if seen is None or seen.on_padding:
        return Question(sample, words=words, others=others, carriers=carriers)
    spots = (seen.spot,)
    return Question(sample, seen.image, spots, elsewhere(spots, sample.id, seed) or (), words, others, carriers)
