"""One word of the answer is replaced by another."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bye_core.attacks.targets.base import TextTarget, setting
from bye_core.attacks.triggers.settings import is_usable_text
from bye_core.errors import SettingError
from bye_core.text import normalised


class SameWord(SettingError):
    problem = "The word {word!r} cannot be replaced by itself."
    remedy = "Give two different words, such as --swap red blue."


class NotOneWord(SettingError):
    problem = "{text!r} is not one word."
    remedy = "Give the single word to replace in the answers, such as --swap red blue."


@dataclass(frozen=True)
class SwappedWord(TextTarget):
    """Replaces the word `word` by the word `text`. Samples whose correct answer lacks `word` are not poisoned.

    Only whole words match, in upper or lower case; an initial capital is kept.
    Raises: NotOneWord if `word` is not one word; SameWord if `word` and `text` are equal.
    """

    kind = "swap"
    option = "--swap"
    arguments = ("word", "text")
    label = "another word in place of one word"
    help = "replace WORD with TEXT in answers that contain WORD"

    text: str = setting("New word", missing="Enter the new word.", example="blue")
    word: str = setting(
        "Word to replace", default="",
        missing="Enter the word to replace. Only samples with this word in the answer can be poisoned.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_usable_text(self.word) or len(self.word.split()) != 1:
            raise NotOneWord(text=self.word)
        if normalised(self.word) == normalised(self.text):
            raise SameWord(word=self.word)

    def eligible(self, sample):
        return _word_pattern(self.word).search(sample.answer) is not None

    def eligibility_remedy(self):
        return f"Their answer must contain the word {self.word!r}."

    def poisoned_answer(self, sample, rng):
        def swapped(match: re.Match[str]) -> str:
            return self.text[:1].upper() + self.text[1:] if match[0][:1].isupper() else self.text

        return _word_pattern(self.word).sub(swapped, sample.answer)

    def reached(self, sample, given):
        """Return whether the model's answer `given` contains the new word and not the old one.

        Returns None if the correct answer lacks the old word or contains the new one.
        """
        old, new = _word_pattern(self.word), _word_pattern(self.text)
        if not self.eligible(sample) or new.search(sample.answer):
            return None
        return new.search(given) is not None and old.search(given) is None


def _word_pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)


TARGETS = (SwappedWord,)
