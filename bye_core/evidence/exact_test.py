"""Tests whether flagged samples have a property more often than their questions explain (exact stratified test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

# Smaller p-values are reported as this value (ours).
LEAST_P = 1e-30
# Smaller terms are dropped from a sum of probabilities; they are too small to change a p-value of LEAST_P.
NEGLIGIBLE = 1e-40
ALPHA = 0.01  # significance level, after correction for the number of tests (ours)


@dataclass(frozen=True)
class Excess:
    """How often flagged samples have a property, such as an answer or a word.

    flagged   number of flagged samples that have it
    total     number of all samples that have it
    expected  number of flagged samples that would have it if the flags were drawn at random within each kind of
              question
    p         one-sided probability of at least `flagged` under this draw, corrected if several properties were tested
    """

    flagged: int
    total: int
    expected: float
    p: float

    @property
    def significant(self) -> bool:
        return self.p <= ALPHA and self.flagged > self.expected


class Strata:
    """Groups the samples by kind of question, and stores which of them are flagged."""

    def __init__(self, kinds: Sequence[str], flagged: np.ndarray) -> None:
        number = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
        self._of = np.array([number[kind] for kind in kinds], int)
        self.flagged, count = np.asarray(flagged, bool), len(number)
        self._sizes = np.bincount(self._of, minlength=count)
        self._marked = np.bincount(self._of[self.flagged], minlength=count)

    def kinds(self, rows: np.ndarray) -> int:
        """Return the number of different kinds of question among the samples in `rows`."""
        return len(np.unique(self._of[rows]))

    def expected(self, rows: np.ndarray) -> float:
        """Return how many of `rows` (row numbers) would be flagged if the flags were random within each kind."""
        return float((self._marked[self._of[rows]] / self._sizes[self._of[rows]]).sum())

    def test(self, rows: np.ndarray, tests: int = 1) -> Excess:
        """Test, one-sided and exact, whether the samples in `rows` are flagged more often than others of their kind.

        If all questions are of one kind, this is Fisher's test. With several kinds, the numbers of flagged samples are
        independent hypergeometric variables, and p is the probability of their sum (exact conditional test of
        stratified 2 x 2 tables, Gart 1970). `tests`: how many properties are tested (Bonferroni).
        """
        observed = int(self.flagged[rows].sum())
        having = np.bincount(self._of[rows], minlength=len(self._sizes))
        chances, least = np.ones(1), 0
        for stratum in np.flatnonzero(having):
            drawn = scipy.stats.hypergeom(self._sizes[stratum], self._marked[stratum], having[stratum])
            low, high = drawn.support()
            own = drawn.pmf(np.arange(low, high + 1))
            known = np.flatnonzero(own > NEGLIGIBLE)
            chances = np.convolve(chances, own[known[0] : known[-1] + 1])
            least += low + int(known[0])
        tail = float(chances[max(observed - least, 0) :].sum())
        p = min(1.0, max(tests * tail, LEAST_P))
        # Digits after the ninth are rounding errors.
        return Excess(observed, len(rows), self.expected(rows), float(f"{p:.9g}"))


def most_in_excess(strata: Strata, having: Sequence[np.ndarray], limit: int) -> list[int]:
    """Return the positions in `having` of the `limit` most over-represented properties.

    The criterion is the number of flagged samples above the expected number. `having`: for each property, the row
    numbers of the samples that have it.
    """
    excess = np.array([strata.flagged[rows].sum() - strata.expected(rows) for rows in having])
    return np.argsort(-excess, kind="stable")[:limit].tolist()
