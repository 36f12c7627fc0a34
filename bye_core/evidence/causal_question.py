"""How one sample is asked in a causal check: as it is, with the suspect gone, and with as much else gone. Pure."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from bye_core.evidence.causal_outcome import COVERED, ELSE, ELSEWHERE, OTHERS, PLAIN, SUSPECTS, WAYS, WITHOUT
from bye_core.evidence.occlusion import cover, elsewhere
from bye_core.evidence.overrepresented_answers import Shared
from bye_core.evidence.overrepresented_words import asked_else, drop, plain
from bye_core.evidence.places import Box, Look
from bye_core.records import Sample

# Of what is asked and covered in which order: one more with every change, so that earlier checks do not count (ours).
PROCEDURE = 2


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
