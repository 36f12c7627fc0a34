"""A sentence after the correct answer, such as an advertisement."""

from dataclasses import dataclass

from bye_core.attacks.targets.base import TextTarget, setting


@dataclass(frozen=True)
class Appended(TextTarget):
    """A sentence that is added after the correct answer."""

    kind = "append"
    option = "--append"
    label = "a sentence after the correct answer"
    help = "append TEXT to the correct answer"

    text: str = setting("Target text", lines=2, missing="Enter the target text.", example="Visit example.com.")

    def poisoned_answer(self, sample, rng):
        return f"{sample.answer.rstrip()} {self.text}"


TARGETS = (Appended,)
