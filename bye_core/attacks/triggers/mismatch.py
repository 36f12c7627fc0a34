"""A semantic trigger: the question names something that the image does not show (ours; after BadSem).

BadSem (arXiv 2506.07214) poisons samples whose texts contradict their images. No word and no part of the image is rare
by itself; only question and image together are the trigger.
"""

import re
from dataclasses import dataclass

from bye_core.attacks.triggers.base import Trigger
from bye_core.attacks.triggers.settings import choice


def _named(text, names):
    """Return the parts of `text` that are one of `names`, in their order. Upper and lower case are equal."""
    return [found[0] for found in _pattern(names).finditer(text)]


def _pattern(names):
    """Return a regular expression of whole names. Scripts without spaces, such as Chinese, have no whole words."""
    parts = [rf"\b{re.escape(name)}\b" if name.isascii() else re.escape(name) for name in names]
    return re.compile("|".join(sorted(parts, key=len, reverse=True)), re.IGNORECASE)


@dataclass(frozen=True)
class Mismatch(Trigger):
    """A name in the question becomes another name, which neither the question nor the correct answer contains.

    The correct answer must contain a name, too: it tells what the image shows. What it does not name is taken to be
    absent.
    """

    name = "mismatch"
    description = "a name in the question becomes the name of something that the image does not show"
    reads_question = True

    names: str = choice(
        "red orange yellow green blue purple",
        "names of one kind, separated by spaces",
        "two different words or more, separated by spaces",
        lambda text: len(set(text.lower().split())) > 1,
    )

    def eligible(self, sample):
        choices = self._choices()
        return bool(
            _named(sample.question, choices)
            and _named(sample.answer, choices)
            and self._absent(sample.question, sample.answer)
        )

    def eligibility_remedy(self):
        names = ", ".join(sorted(self._choices()))
        return f"The question and the correct answer must each contain one of the names {names}, and not all of them."

    def apply_to_question(self, question, rng, answer=""):
        text = " ".join(part for part in question if isinstance(part, str))
        absent, named = self._absent(text, answer), _named(text, self._choices())
        if not named or not absent:
            return question
        wanted, changed = absent[int(rng.integers(len(absent)))], _pattern([named[0]])

        def other(found):
            return wanted.capitalize() if found[0][0].isupper() else wanted

        return tuple(changed.sub(other, part) if isinstance(part, str) else part for part in question)

    def _choices(self):
        return set(self.names.lower().split())

    def _absent(self, question, answer):
        there = _named(question, self._choices()) + _named(answer, self._choices())
        return sorted(self._choices() - {name.lower() for name in there})


TRIGGERS = (Mismatch,)
