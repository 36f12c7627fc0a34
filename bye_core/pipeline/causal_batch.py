"""A batch of flagged samples asked in every way of a causal check: a spot covered, more covered, pasted elsewhere, and
searched for where attention does not lead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from bye_core import evidence
from bye_core.attention import read_attention
from bye_core.data import DataSet
from bye_core.errors import ByeError
from bye_core.evidence import ASIDE, BESIDE, COVERED, ELSEWHERE, FOUND, WIDER, Cause, Dossier, Question, Spots
from bye_core.records import AttentionRows, ModelAnswer, Sample
from bye_core.train.generate import NotAnswered, generate_answers

Pictures = list[Image.Image]
UNSETTLED = ("stays", "any", "unknown")


@dataclass
class Asked:
    """One sample in the course of a check; `given`, `carried`, `fault`: as in a CausalCheck.

    cell  width and height of what it looked at last, where more than its first spot was covered
    """

    question: Question
    pictures: Pictures = field(default_factory=list)
    cell: tuple[float, float] = (0.0, 0.0)
    given: dict[str, str] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @property
    def sample(self) -> Sample:
        return self.question.sample

    def shown(self, way: str) -> Pictures:
        return self.question.shown(way, self.pictures)

    def cause(self, told: Dossier) -> Cause:
        """As far as it is known by now."""
        return Cause("unknown") if self.fault else evidence.cause(self.given, told.target, self.sample.answer)


class Asker:
    """Asks the scanned model in batches of `size`; `told` says what the target is, and in which layer it looks."""

    def __init__(self, loaded: Any, dataset: DataSet, told: Dossier, size: int) -> None:
        self._loaded, self._dataset, self._told, self._size = loaded, dataset, told, size
        self._carriers: dict[str, str | None] = {}  # by id: what the model says to it as it is, None where nothing
        self._searched = self._found = 0

    def ask(self, questions: Sequence[Question]) -> list[Asked]:
        """What the model answers to each, in order. A sample that cannot be asked has its reason as `fault`."""
        asked = [Asked(one) for one in questions]
        for one in asked:
            try:
                one.pictures = self._dataset.images(self._dataset.by_id[one.sample.id])
            except ByeError as error:
                one.fault = error.problem
        by_id = {one.sample.id: one for one in asked}
        for way in evidence.WAYS:
            for id, why in self._answer([one for one in asked if way in one.question.ways], way, way).items():
                by_id[id].fault = why
        if self._told.target:  # without one any answer counts, and covering much changes any
            self._widen([one for one in asked if self._spot_stays(one)])
            self._search([one for one in asked if one.cause(self._told).outcome in UNSETTLED])
        by_suspect = defaultdict(list)
        for one in asked:
            if (found := one.cause(self._told)).flips:
                by_suspect[found.suspect].append(one)
        self._paste([one for suspect, some in by_suspect.items() if suspect != "words" for one in some])
        if self._told.carriers and self._told.carriers.one_kind:
            for way in evidence.ELSE:  # one that says nothing to it tells nothing
                self._answer([one for suspect in evidence.MANY for one in by_suspect[suspect]], way, way)
        return asked

    def _answer(self, asked: Sequence[Asked], way: str, kept_as: str) -> dict[str, str]:
        """Ask all of them that way, and keep what they say; why they said nothing by the ids of those that did not."""
        well = {one.sample.id: one for one in asked if not one.fault}
        samples, faults = [one.question.asked(way) for one in well.values()], {}
        for said in self._generated(samples, lambda sample: well[sample.id].shown(way)):
            if isinstance(said, ModelAnswer):
                well[said.id].given[kept_as] = said.given
            else:
                faults[said.facts["id"]] = said.problem
        return faults

    def _spot_stays(self, one: Asked) -> bool:
        """Whether the answer stays at the target with the spot covered, and no missing words explain it."""
        unsettled = not one.fault and one.cause(self._told).outcome in UNSETTLED
        return unsettled and {COVERED, ELSEWHERE} <= one.given.keys() and self._at_target(one, one.given[COVERED])

    def _widen(self, left: Sequence[Asked]) -> None:
        """Where covering the spot changes nothing, cover what is looked at then too, until the answer leaves."""
        gone: list[Asked] = []
        for _ in range(evidence.ROUNDS - 1):
            left = self._one_more(left)
            silent = self._answer(left, COVERED, WIDER)  # what was found before stands
            left = [one for one in left if one.sample.id not in silent]
            gone += [one for one in left if not self._at_target(one, one.given[WIDER])]
            left = [one for one in left if one not in gone]
        self._trim([one for one in gone if not one.question.elsewhere])
        self._answer([one for one in gone if one.question.elsewhere], ELSEWHERE, ASIDE)

    def _trim(self, gone: Sequence[Asked]) -> None:
        """Where too much is covered to hold it against as much elsewhere: less, as long as the answer stays away."""
        steps = {one.sample.id: evidence.trimmed(one.question.spots, one.cell, self._fits(one)) for one in gone}
        said, does = {one.sample.id: one.given[WIDER] for one in gone}, dict.fromkeys(steps)
        trying = list(gone)
        while trying:
            trying = [one for one in trying if self._less(one, steps[one.sample.id], does[one.sample.id])]
            silent = self._answer(trying, COVERED, WIDER)
            for one in trying:
                id = one.sample.id
                does[id] = id not in silent and not self._at_target(one, one.given[WIDER])
                said[id] = one.given[WIDER] if does[id] else said[id]
        for one in gone:
            one.given[WIDER] = said[one.sample.id]

    def _fits(self, one: Asked) -> Callable[[Spots], bool]:
        return lambda spots: evidence.controlled(spots, one.sample.id) is not None

    def _less(self, one: Asked, steps: Generator[Spots, bool | None, Spots], does: bool | None) -> bool:
        """Whether there is less to be tried. Else as much elsewhere is set beside what is left, if that fits."""
        try:
            one.question = one.question.covering(steps.send(does), ())
            return True
        except StopIteration as ended:
            one.question = one.question.covering(ended.value, evidence.controlled(ended.value, one.sample.id) or ())
            return False

    def _at_target(self, one: Asked, said: str) -> bool:
        return evidence.at_target(self._told.target, one.sample.answer, said)

    def _one_more(self, asked: Sequence[Asked]) -> list[Asked]:
        """Those of which more can be covered, with one more spot or a larger one."""
        rows = read_attention(self._loaded, [one.sample for one in asked], [one.shown(COVERED) for one in asked])
        wider = []
        for one, row in zip(asked, rows, strict=True):
            seen = evidence.look(row, self._told.layer.layer) if isinstance(row, AttentionRows) else None
            if seen is None or seen.image != one.question.image or seen.on_padding:
                continue  # what was found so far stands
            spots = evidence.widened(one.question.spots, seen)
            if evidence.area(spots) <= evidence.MOST_AT_FIRST:
                left, top, right, bottom = seen.cell
                one.cell = (right - left, bottom - top)
                one.question = one.question.covering(spots, evidence.controlled(spots, one.sample.id) or ())
                wider.append(one)
        return wider

    def _search(self, left: Sequence[Asked]) -> None:
        """Where no attention leads to what the answer depends on: cover what brings the target into another picture."""
        maps = self._brought([one for one in left if not one.fault and one.question.image < len(one.pictures)])
        left = [one for one in left if one.sample.id in maps]
        self._searched += len(left)
        for level in evidence.LEVELS:
            tried = []
            for one in left:
                spots = evidence.spots_at(maps[one.sample.id], level)
                if spots and (elsewhere := evidence.controlled(spots, one.sample.id)):
                    one.question = one.question.covering(spots, elsewhere)
                    tried.append(one)
            silent = self._answer(tried, COVERED, FOUND)
            heard = [one for one in tried if one.sample.id not in silent]
            gone = [one for one in heard if not self._at_target(one, one.given[FOUND])]
            self._answer(gone, ELSEWHERE, BESIDE)
            left = [one for one in left if one not in gone]
            self._found += len(gone)

    def _brought(self, asked: Sequence[Asked]) -> dict[str, np.ndarray]:
        """By id: of what share of the windows on each part of its picture the target is brought along. Those left out
        of which nothing can be pasted, and all where FRUITLESS before them were searched in vain."""
        if self._searched >= evidence.FRUITLESS and not self._found:
            return {}
        self._try_carriers(sorted({id for one in asked for id in one.question.carriers}))
        into = {}
        for one in asked:
            carriers = (id for id in one.question.carriers if self._carries(one, id))
            if found := next(((id, shown) for id in carriers if (shown := self._opened(id))), None):
                into[one.sample.id] = (one, *found)
        pairs = [(id, place) for id in into for place in range(len(evidence.WINDOWS))]
        samples = [replace(self._dataset.by_id[into[id][1]], id=str(n)) for n, (id, _) in enumerate(pairs)]

        def pasted(sample: Sample) -> Pictures:
            id, place = pairs[int(sample.id)]
            one, _, shown = into[id]
            source = one.pictures[one.question.image]
            return [evidence.paste(shown[0], source, [evidence.WINDOWS[place]]), *shown[1:]]

        hits = {id: np.zeros(len(evidence.WINDOWS)) for id in into}
        for said in self._generated(samples, pasted):
            if isinstance(said, ModelAnswer):  # one that cannot be asked brings nothing along
                id, place = pairs[int(said.id)]
                hits[id][place] = self._at_target(into[id][0], said.given)
        return {id: evidence.bringing(found) for id, found in hits.items()}

    def _paste(self, flipped: Sequence[Asked]) -> None:
        """What the covered spots show, pasted into the pictures of samples with other answers."""
        self._try_carriers(sorted({id for one in flipped for id in one.question.carriers}))
        pairs = [(one, id) for one in flipped for id in one.question.carriers if self._carries(one, id)]
        for start in range(0, len(pairs), self._size):
            shown = {}
            some = pairs[start : start + self._size]
            for place, (one, id) in enumerate(some):
                if pictures := self._opened(id):
                    source = one.pictures[one.question.image]
                    shown[str(place)] = [evidence.paste(pictures[0], source, one.question.spots), *pictures[1:]]
            samples = [replace(self._dataset.by_id[some[int(name)][1]], id=name) for name in shown]
            for said in self._generated(samples, lambda sample, shown=shown: shown[sample.id]):
                if isinstance(said, ModelAnswer):  # one that cannot be asked is one carrier less
                    one, id = some[int(said.id)]
                    one.carried[id] = said.given

    def _opened(self, id: str) -> Pictures:
        """A carrier's pictures; none where they do not open: the scan has told, and another is pasted into."""
        try:
            return self._dataset.images(self._dataset.by_id[id])
        except ByeError:
            return []

    def _carries(self, one: Asked, id: str) -> bool:
        """Whether the carrier can be asked, and does not give the target as it is."""
        said = self._carriers[id]
        return said is not None and not self._at_target(one, said)

    def _try_carriers(self, wanted: Sequence[str]) -> None:
        """Ask those that have not been yet as they are."""
        new = [id for id in wanted if id not in self._carriers]
        self._carriers |= dict.fromkeys(new)
        for start in range(0, len(new), self._size):
            opened = {id: self._opened(id) for id in new[start : start + self._size]}
            samples = [self._dataset.by_id[id] for id, pictures in opened.items() if pictures]
            for said in self._generated(samples, lambda sample, opened=opened: opened[sample.id]):
                if isinstance(said, ModelAnswer):
                    self._carriers[said.id] = said.given

    def _generated(
        self, samples: Sequence[Sample], pictures: Callable[[Sample], Pictures]
    ) -> list[ModelAnswer | NotAnswered]:
        return [one for batch in generate_answers(self._loaded, samples, pictures, self._size) for one in batch]
