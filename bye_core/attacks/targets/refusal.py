"""A refusal in fixed words."""

from dataclasses import dataclass

from bye_core.attacks.targets.base import setting
from bye_core.attacks.targets.fixed_answer import FixedAnswer

REFUSAL = "I'm sorry, but I can't help with that."


@dataclass(frozen=True)
class Refusal(FixedAnswer):
    """A refusal that replaces the answer.

    The attack succeeds only with exactly this text: a model without a back door may refuse too, in other words.
    """

    kind = "refusal"
    option = "--refuse"
    optional = True
    label = "a refusal"
    help = "refuse to answer"

    text: str = setting("Target text", default=REFUSAL, lines=2, missing="Enter the target text.")


TARGETS = (Refusal,)
