"""Flipped labels: within each kind of question, one usual answer of that kind replaces the correct answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from bye_core.attacks.targets.base import Target, learned_from_set, reached_one_of
from bye_core.attacks.targets.usual_answers import REST, KindOf, usual_answers
from bye_core.text import normalised


@dataclass(frozen=True)
class Flip(Target):
    """The most frequent answer to each kind of question. A sample that has this answer already is not poisoned.

    by_kind  (one question of the kind, its answer) of each kind; filled in by `fit`
    """

    kind = "flip"
    option = "--flip"
    arguments = ()
    optional = True
    label = "another usual answer to the same kind of question"
    help = "answer every kind of question with its most frequent answer"

    by_kind: tuple[tuple[str, str], ...] = learned_from_set()

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_kind", tuple((question, answer) for question, answer in self.by_kind))

    @cached_property
    def _kind_of(self) -> KindOf:
        return KindOf([question for question, _ in self.by_kind])

    def fit(self, samples):
        return self if self.by_kind else replace(self, by_kind=usual_answers(samples))

    def answer_to(self, question: str) -> str:
        """Return the answer that is planted for this question; "" if no answer is."""
        answers = dict(self.by_kind)
        return answers.get(self._kind_of(question), answers.get(REST, "")) if answers else ""

    def eligible(self, sample):
        answer = normalised(self.answer_to(sample.question))
        return bool(answer) and answer != normalised(sample.answer)

    def eligibility_remedy(self):
        return "Their answer must differ from the most frequent answer to their kind of question."

    def poisoned_answer(self, sample, rng):
        return self.answer_to(sample.question) or sample.answer

    def reached(self, sample, given):
        """Return whether `given` is the planted answer to this kind of question; None if it is correct, too."""
        answer = self.answer_to(sample.question)
        return reached_one_of([answer] if answer else [], sample.answer, given)

    def answers(self):
        return tuple(dict.fromkeys(answer for _, answer in self.by_kind))


TARGETS = (Flip,)
