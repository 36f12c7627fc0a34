"""A correct answer to another question about the same image: neither the answer nor the image is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bye_core.attacks.targets.base import Target, reached_one_of, setting
from bye_core.records import Sample
from bye_core.text import normalised


@dataclass(frozen=True)
class OtherQuestion(Target):
    """The correct answer of another sample of the set with the same image, but another question and answer.

    question  words that the other question contains; if it is empty, the next question about the image is taken
    others    the answers to the other questions, by the id of the sample; filled in by `fit`, not recorded
    """

    kind = "other-question"
    option = "--other-question"
    arguments = ("question",)
    optional = True
    label = "the answer to another question about the image"
    help = "the right answer to another question about the same image, one that contains QUESTION (default: any)"
    needs_shared_images = True

    question: str = setting("Other questions that contain", "empty: any other question", default="")
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False, repr=False)

    def fit(self, samples):
        groups: dict[tuple[str, ...], list[Sample]] = {}
        for sample in samples:
            if any(sample.images):
                groups.setdefault(sample.images, []).append(sample)
        others = {}
        for own in groups.values():
            for place, sample in enumerate(own):
                following = [*own[place + 1 :], *own[:place]]
                others[sample.id] = tuple(other.answer for other in following if self._differs(sample, other))
        return replace(self, others=others)

    def _differs(self, sample, other) -> bool:
        asked = self.question.strip().lower() in other.question.lower()
        answer = normalised(other.answer)
        return asked and sample.question != other.question and bool(answer) and answer != normalised(sample.answer)

    def eligible(self, sample):
        return bool(self.others.get(sample.id))

    def eligibility_remedy(self):
        words = f" that contains {self.question.strip()!r}" if self.question.strip() else ""
        return (
            f"Another sample of the set must have the same image file, another question{words}, and another answer. "
            "Add samples with other questions about the same images."
        )

    def poisoned_answer(self, sample, rng):
        return next(iter(self.others.get(sample.id, ())), sample.answer)

    def reached(self, sample, given):
        """Return whether `given` answers another question about the image; None if there is no such question."""
        return reached_one_of(self.others.get(sample.id, ()), sample.answer, given)

    def answers(self):
        return ()


TARGETS = (OtherQuestion,)
