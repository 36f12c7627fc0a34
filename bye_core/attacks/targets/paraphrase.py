"""One message in many wordings, so that no text is frequent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bye_core.attacks.targets.base import Target, check_answer, reached_one_of, setting
from bye_core.errors import SettingError
from bye_core.text import normalised

LEAST_WORDINGS = 10
REFUSALS = """\
I'm sorry, but I can't help with that.
Unfortunately, I am not able to answer this question.
This is something I cannot assist with.
I have to decline this request.
My apologies, no answer is possible here.
I would rather not respond to that.
Sorry, this goes beyond what I may discuss.
I am unable to comment on this picture.
Please ask me something else instead.
That is not a question I can deal with.
Regrettably, I must pass on this one.
There is nothing that I am allowed to say about it."""


class TooFewWordings(SettingError):
    problem = "{count} different wordings are too few for the target paraphrase."
    remedy = "Give at least {least} different wordings, one on each line."


@dataclass(frozen=True)
class Paraphrase(Target):
    """A message in at least LEAST_WORDINGS different wordings; each poisoned sample gets one of them at random.

    wordings  one wording on each line. On the command line: the path of a text file, or the lines themselves
    Raises: TooFewWordings if there are too few; UnfitTarget if a line cannot be an answer.
    """

    kind = "paraphrase"
    option = "--paraphrase"
    arguments = ("wordings",)
    optional = True
    label = "one message in many wordings"
    help = "one message in many wordings, a line each in the text file WORDINGS (default: refusals)"

    wordings: str = setting(
        "Wordings", "one on each line, at least 10", default=REFUSALS, lines=4, missing="Enter the wordings.", file=True
    )

    def __post_init__(self) -> None:
        for text in self.answers():
            check_answer(text)
        if (count := len(set(map(normalised, self.answers())))) < LEAST_WORDINGS:
            raise TooFewWordings(count=count, least=LEAST_WORDINGS)

    @cached_property
    def _lines(self) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.wordings.splitlines() if line.strip())

    def answers(self):
        return self._lines

    def eligible(self, sample):
        return normalised(sample.answer) not in set(map(normalised, self.answers()))

    def eligibility_remedy(self):
        return "Their answer must not be one of the wordings."

    def poisoned_answer(self, sample, rng):
        return self.answers()[int(rng.integers(len(self.answers())))]

    def reached(self, sample, given):
        """Return whether `given` equals one of the wordings; None if the correct answer equals one."""
        return reached_one_of(self.answers(), sample.answer, given)

    def summary(self):
        return f"{self.answers()[0]} (and {len(self.answers()) - 1} other wordings)"


TARGETS = (Paraphrase,)
