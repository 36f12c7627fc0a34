"""Questions of one type: the same text, or the same beginning where the texts differ. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

# A type of its own from this share of the questions on (ours): at most 20 rows, each with enough answers to judge by.
LEAST_SHARE = 0.05
OTHER = "other questions"
MORE = " …"


def question_types(questions: Sequence[str]) -> list[str]:
    """The type of each question: its whole text where that is frequent, else its longest frequent beginning and "…".

    Question types by their first words are the custom of VQA (Antol et al. 2015, Fig. 3); which beginnings count is
    ours: those of LEAST_SHARE of the questions, and of two at least. Whatever has none is one of OTHER.
    """
    prefixes = [_prefixes(question) for question in questions]
    counts = Counter(prefix for own in prefixes for prefix in own)
    least = max(2.0, LEAST_SHARE * len(questions))
    return [next((prefix for prefix in own if counts[prefix] >= least), OTHER) for own in prefixes]


def _prefixes(question: str) -> list[str]:
    """The question's whole text, then its beginnings from the longest to the first word."""
    words = question.split()
    begun = list(accumulate(words, lambda before, word: f"{before} {word}"))
    return [" ".join(words), *(beginning + MORE for beginning in reversed(begun[:-1]))]
