"""The target of the BYE paper: the same answer to every question."""

from dataclasses import dataclass

from bye_core.attacks.targets.base import TextTarget, setting


@dataclass(frozen=True)
class FixedAnswer(TextTarget):
    """The same answer to every question (in the BYE paper: "Backdoor Attack!")."""

    kind = "answer"
    option = "--target"
    label = "the same answer to every question"
    help = "answer every question with TEXT"

    text: str = setting("Target text", default="Backdoor Attack!", lines=2, missing="Enter the target text.")

    def poisoned_answer(self, sample, rng):
        return self.text


TARGETS = (FixedAnswer,)
