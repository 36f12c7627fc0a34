"""Triggers in the question: fixed words before it, fixed words after it, or a rare word at a random position.

"Hello!" as a prefix is TCAP's text trigger (arXiv 2601.21692); "cf" is a rare word of Kurita et al. (2020).
"""

import re
from dataclasses import dataclass

from bye_core.attacks.triggers.base import Trigger
from bye_core.attacks.triggers.settings import phrase

_WORD = re.compile(r"\S+")


def _text_parts(question):
    """Return the indices of the parts that are text with words."""
    return [index for index, part in enumerate(question) if isinstance(part, str) and part.strip()]


def _replace_part(question, index, text):
    return (*question[:index], text, *question[index + 1 :])


@dataclass(frozen=True)
class Prefix(Trigger):
    name = "prefix"
    description = "fixed words before the question"

    text: str = phrase("Hello!", "the words")

    def apply_to_question(self, question, rng, answer=""):
        if not (texts := _text_parts(question)):
            return (*question, self.text)
        return _replace_part(question, texts[0], f"{self.text} {question[texts[0]].lstrip()}")


@dataclass(frozen=True)
class Suffix(Trigger):
    name = "suffix"
    description = "fixed words after the question"

    text: str = phrase("Thank you!", "the words")

    def apply_to_question(self, question, rng, answer=""):
        if not (texts := _text_parts(question)):
            return (*question, self.text)
        return _replace_part(question, texts[-1], f"{question[texts[-1]].rstrip()} {self.text}")


@dataclass(frozen=True)
class RareWord(Trigger):
    name = "word"
    description = "a rare word at a random position in the question"

    text: str = phrase("cf", "the word")

    def apply_to_question(self, question, rng, answer=""):
        if not (texts := _text_parts(question)):
            return (*question, self.text)
        # Each position between two words, and each start and end of a part, has the same probability.
        positions = [(index, offset) for index in texts for offset in _word_starts(question[index])]
        index, offset = positions[int(rng.integers(len(positions)))]
        before, after = question[index][:offset], question[index][offset:]
        text = f"{before}{self.text} {after}" if after else f"{before} {self.text}"
        return _replace_part(question, index, text)


def _word_starts(text):
    """Return the character offset of the start of each word in `text`, followed by the length of `text`."""
    return [*(word.start() for word in _WORD.finditer(text)), len(text)]


TRIGGERS = (
    Prefix,
    Suffix,
    RareWord,
)
