"""A usual answer of the data set, to one kind of question only. Nothing in the text of the answer is odd."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from bye_core.attacks.targets.base import Target, check_answer, learned_from_set, reached_one_of, setting
from bye_core.attacks.targets.usual_answers import KindOf, usual_answer, usual_answers
from bye_core.errors import SettingError
from bye_core.text import normalised


class NoSuchQuestion(SettingError):
    problem = "No sample has a question that contains {question!r}."
    remedy = "Give words from the questions of the data set, or none for the most frequent kind of question."


@dataclass(frozen=True)
class OneKind(Target):
    """The answer `text` to one kind of question. Other questions, and samples with this answer, are not poisoned.

    text      the answer; if it is empty, the most frequent answer to these questions
    question  words that these questions contain; if it is empty, the most frequent kind of question is taken
    kinds     one question of each kind; the first is the chosen kind. Filled in by `fit` if `question` is empty
    """

    kind = "one-kind"
    option = "--one-kind"
    optional = True
    label = "a usual answer to one kind of question"
    help = "answer one kind of question with TEXT (default: the most frequent kind and its most frequent answer)"

    text: str = setting("Answer", "empty: the most frequent answer to these questions", default="")
    question: str = setting(
        "Questions that contain", "words of these questions; empty: the most frequent kind", default=""
    )
    kinds: tuple[str, ...] = learned_from_set()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if self.text:
            check_answer(self.text)

    @cached_property
    def _kind_of(self) -> KindOf:
        return KindOf(self.kinds)

    def fit(self, samples):
        kinds = self.kinds
        if not self.question.strip() and not kinds:
            kinds = tuple(question for question, _ in usual_answers(samples))
        fitted = replace(self, kinds=kinds)
        asked = [sample for sample in samples if fitted.concerns(sample)]
        if not asked and self.question.strip():
            raise NoSuchQuestion(question=self.question)
        return replace(fitted, text=self.text or usual_answer(asked))

    def concerns(self, sample) -> bool:
        """Return whether the question of the sample is of this kind."""
        if self.question.strip():
            return self.question.strip().lower() in sample.question.lower()
        return bool(self.kinds) and self._kind_of(sample.question) == self.kinds[0]

    def eligible(self, sample):
        return bool(self.text) and self.concerns(sample) and normalised(sample.answer) != normalised(self.text)

    def eligibility_remedy(self):
        kind = f"contain {self.question.strip()!r}" if self.question.strip() else "be of the most frequent kind"
        return f"Their question must {kind}, and their answer must not be {self.text!r}."

    def poisoned_answer(self, sample, rng):
        return self.text or sample.answer

    def reached(self, sample, given):
        """Return whether `given` equals the text; None for other questions and if the correct answer equals it."""
        return reached_one_of([self.text], sample.answer, given) if self.eligible(sample) else None

    def answers(self):
        return (self.text,) if self.text else ()


TARGETS = (OneKind,)
