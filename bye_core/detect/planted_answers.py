"""Compares new samples with the planted answers that `auto` found: by their first token and by their attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from bye_core.detect.answer_comparison import AnswerComparison, AutoSettings, compare_answers, spread_of
from bye_core.detect.isolation import columns
from bye_core.records import AttentionRows, ScanTable


@dataclass(frozen=True)
class PlantedAnswer:
    """One planted answer of a run.

    ordinary, planted  (median, spread) of the places of the run's samples without and with the answer
    token              first token of the answer; None if the scan cannot tell
    token_shares       share of the samples without and with the answer that begin with `token`, by kind of question;
                       key None: over all kinds that have the answer
    prior              share of the samples that have the answer
    """

    comparison: AnswerComparison
    ordinary: tuple[float, float]
    planted: tuple[float, float]
    token: int | None
    token_shares: dict[int | None, tuple[float, float]]
    prior: float


@dataclass(frozen=True)
class Match:
    """A new sample compared with the planted answer that fits it best.

    answer      the text of that answer
    begins      whether the model begins with it; None if the first token cannot tell
    place       between ordinary (0) and planted (1) attention; None if the run has no question of that kind
    deviations  of the place from the median of the planted and of the ordinary side, in standard deviations
    score       posterior 0..1
    """

    answer: str
    begins: bool | None
    place: float | None
    deviations: tuple[float, float] | None
    score: float


class PlantedAnswers:
    """The planted answers of a run, with which samples from outside the run can be compared."""

    def __init__(self, table: ScanTable, settings: AutoSettings) -> None:
        self._kinds, _, planted, _ = compare_answers(table, settings)
        self._answers = [_planted_answer(table, self._kinds.numbers, comparison) for comparison in planted]

    def __len__(self) -> int:
        return len(self._answers)

    def match(self, rows: Sequence[AttentionRows], questions: Sequence[str]) -> list[Match]:
        """Return for each sample the planted answer that fits it best. There must be a planted answer.

        Two signals are combined. The first token says whether the model begins the planted answer. The attention of the
        heads that set the answer apart counts for questions of a kind that the run has.
        """
        table = _table(rows)
        matches = []
        for row, question in enumerate(questions):
            kind = self._kinds.of(question)
            candidates = [self._compare(answer, table, row, kind) for answer in self._answers]
            matches.append(max(candidates, key=lambda match: match.score))
        return matches

    def _compare(self, answer: PlantedAnswer, table: ScanTable, row: int, kind: int | None) -> Match:
        place = self._place(answer, table, row, kind)
        log_ratio, deviations = 0.0, None
        if math.isfinite(place):
            # Beyond the medians the wider side would win. So a place beyond a median counts as that median.
            low, high = sorted((answer.ordinary[0], answer.planted[0]))
            bounded = min(max(place, low), high)
            log_ratio = float(norm.logpdf(bounded, *answer.planted) - norm.logpdf(bounded, *answer.ordinary))
            planted, ordinary = ((place - median) / spread for median, spread in (answer.planted, answer.ordinary))
            deviations = (planted, ordinary)
        begins = None if answer.token is None or table.token is None else bool(table.token[row] == answer.token)
        if begins is not None:
            shares = answer.token_shares.get(kind, answer.token_shares[None])
            outside, inside = (share if begins else 1 - share for share in shares)
            log_ratio += math.log(inside / outside)
        known = place if math.isfinite(place) else None
        score = float(expit(logit(answer.prior) + log_ratio))
        return Match(answer.comparison.candidate.text, begins, known, deviations, score)

    def _place(self, answer: PlantedAnswer, table: ScanTable, row: int, kind: int | None) -> float:
        """Return NaN for a kind of question without the answer."""
        place = math.nan
        for rows, part in answer.comparison.parts:
            if kind is not None and self._kinds.numbers[rows[0]] == kind:
                place = float(part.places(columns(table, np.array([row]), part.kept))[0])
        return place


def _planted_answer(table: ScanTable, kinds: np.ndarray, comparison: AnswerComparison) -> PlantedAnswer:
    candidate, place = comparison.candidate, comparison.places(table)
    member, known = candidate.members, np.isfinite(place)
    token, shares = None, {}
    if table.token is not None and candidate.whole:
        tokens, counts = np.unique(table.token[member], return_counts=True)
        token = int(tokens[counts.argmax()])
        same = table.token == token
        for kind in (None, *candidate.kinds):
            asked = np.isin(kinds, candidate.kinds if kind is None else [kind])
            shares[kind] = (_share(same[asked & ~member]), _share(same[asked & member]))
    ordinary, planted = (spread_of(place[known & side]) for side in (~member, member))
    return PlantedAnswer(comparison, ordinary, planted, token, shares, float(member.mean()))


def _share(holds: np.ndarray) -> float:
    """Return the share of True in [n] bool, kept off 0 and 1 by half a count."""
    return float((holds.sum() + 0.5) / (len(holds) + 1))


def _table(rows: Sequence[AttentionRows]) -> ScanTable:
    stacked: dict[str, Any] = {
        name: np.stack([np.asarray(getattr(sample, name)) for sample in rows])
        for name in ("layer_entropy", "layer_entropy_reference", "entropy", "peak", "mass", "token")
    }
    return ScanTable(tuple(sample.id for sample in rows), **stacked)
