"""Triggers in the question: fixed words before it, after it, or one rare word at a place drawn for every sample.

"Hello!" as a prefix is TCAP's text trigger (arXiv 2601.21692); "cf" is a rare word of Kurita et al. (2020).
"""

import re
from dataclasses import dataclass

from bye_core.attacks.base import Trigger
from bye_core.attacks.settings import phrase

_WORDS = re.compile(r"\S+")


def _texts(question):
    """Places of the parts that hold words."""
    return [place for place, part in enumerate(question) if isinstance(part, str) and part.strip()]


def _replaced(question, place, text):
    return (*question[:place], text, *question[place + 1 :])


@dataclass(frozen=True)
class Prefix(Trigger):
    name = "prefix"
    about = "fixed words before the question"

    text: str = phrase("Hello!", "the words")

    def on_question(self, question, rng):
        if not (places := _texts(question)):
            return (*question, self.text)
        return _replaced(question, places[0], f"{self.text} {question[places[0]].lstrip()}")


@dataclass(frozen=True)
class Suffix(Trigger):
    name = "suffix"
    about = "fixed words after the question"

    text: str = phrase("Thank you!", "the words")

    def on_question(self, question, rng):
        if not (places := _texts(question)):
            return (*question, self.text)
        return _replaced(question, places[-1], f"{question[places[-1]].rstrip()} {self.text}")


@dataclass(frozen=True)
class RareWord(Trigger):
    name = "word"
    about = "a rare word at a random place in the question"

    text: str = phrase("cf", "the word")

    def on_question(self, question, rng):
        if not (places := _texts(question)):
            return (*question, self.text)
        # Every gap between two words of any part, and either end of a part, is as likely as the others.
        spots = [(place, spot) for place in places for spot in _spots(question[place])]
        place, spot = spots[int(rng.integers(len(spots)))]
        before, after = question[place][:spot], question[place][spot:]
        text = f"{before}{self.text} {after}" if after else f"{before} {self.text}"
        return _replaced(question, place, text)


def _spots(text):
    """Where a word may begin: at every word of the text, and at its end."""
    return [*(word.start() for word in _WORDS.finditer(text)), len(text)]
