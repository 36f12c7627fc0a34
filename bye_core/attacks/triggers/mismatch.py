"""A semantic trigger: the question names something that the picture does not show (ours; after BadSem).

BadSem (arXiv 2506.07214) poisons samples whose texts contradict their pictures. No word and no part of the picture is
rare by itself; only question and picture together are the trigger.
"""

import re
from dataclasses import dataclass

from bye_core.attacks.triggers.base import Trigger
from bye_core.attacks.triggers.settings import choice


def names_in(text: str) -> list[str]:
    """Return the words of `text`, lower case, in their order."""
    return re.findall(r"\w+", text.lower())


def _are_names(text):
    return len(set(names_in(text))) > 1


@dataclass(frozen=True)
class Mismatch(Trigger):
    """A name in the question becomes another name, which neither the question nor the correct answer contains.

    The correct answer must contain a name, too, since it tells what the picture shows.
    """

    name = "mismatch"
    description = "a name in the question becomes the name of something that the picture does not show"

    names: str = choice(
        "red orange yellow green blue purple",
        "names of one kind, separated by spaces",
        "two different words or more, separated by spaces",
        _are_names,
    )

    def eligible(self, sample):
        named = set(names_in(sample.question)) & self._choices()
        return bool(named and self._shown(sample.answer) and self._absent(sample.question, sample.answer))

    def eligibility_remedy(self):
        return f"Question and answer must contain one of the names ({', '.join(sorted(self._choices()))}), but not all."

    def apply_to_question(self, question, rng, answer=""):
        texts = [part for part in question if isinstance(part, str)]
        absent = self._absent(" ".join(texts), answer)
        named = [name for text in texts for name in names_in(text) if name in self._choices()]
        if not named or not absent:
            return question
        whole_word = re.compile(rf"\b{re.escape(named[0])}\b", re.IGNORECASE)
        wanted = absent[int(rng.integers(len(absent)))]
        return tuple(whole_word.sub(wanted, part) if isinstance(part, str) else part for part in question)

    def _choices(self):
        return set(names_in(self.names))

    def _shown(self, answer):
        return self._choices() & set(names_in(answer))

    def _absent(self, question, answer):
        return sorted(self._choices() - set(names_in(question)) - self._shown(answer))


TRIGGERS = (Mismatch,)
