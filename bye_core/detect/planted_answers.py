"""Compares new samples with what `auto` detected: planted answers by first token and attention, predicted answers by
attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from bye_core.detect.answer_comparison import AnswerComparison, spread_of
from bye_core.detect.auto import examine
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.entropy_unit import in_unit
from bye_core.detect.isolation import columns
from bye_core.detect.prediction import Predictor
from bye_core.records import NATS, AttentionRows, ScanTable


@dataclass(frozen=True)
class PlantedAnswer:
    """One planted answer of a run.

    ordinary      (median, spread) of the places of the run's samples without the answer
    planted       (median, spread) of the places of the run's samples with the answer
    token         first token of the answer; None if the scan did not store it
    token_shares  kind of question -> (share of the samples without the answer that begin with `token`, share of the
                  samples with it); the key None is for all kinds that have the answer
    prior         share of the samples that have the answer
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

    answer      the text of the planted answer; "" if it was compared with the predicted answers, which have no text
                in common
    begins      whether the model's answer begins with it; None if the first token cannot show this
    place       place of the sample between ordinary (0) and planted (1) attention; None if the run has no question of
                this kind
    deviations  distance of the place from the median of the planted and of the ordinary side, in standard deviations
    score       posterior probability of a trigger, 0..1
    """

    answer: str
    begins: bool | None
    place: float | None
    deviations: tuple[float, float] | None
    score: float


class PlantedAnswers:
    """The planted and predicted answers of a run. New samples from outside the run can be compared with them."""

    _unit = NATS
    _predictor: Predictor | None = None

    def __init__(self, table: ScanTable, settings: AutoSettings) -> None:
        table = in_unit(table, settings.entropy_unit)
        self._unit = table.entropy_unit
        seen = examine(table, settings)
        self._kinds, predicted = seen.kinds, seen.predicted
        self._answers = [_planted_answer(table, self._kinds.numbers, comparison) for comparison in seen.planted]
        if predicted is not None and predicted.prediction is not None and predicted.flagged.any():
            self._predictor = predicted.prediction.predictor
            self._share = float(predicted.flagged.mean())

    def __len__(self) -> int:
        return len(self._answers) + (self._predictor is not None)

    def match(self, rows: Sequence[AttentionRows], questions: Sequence[str]) -> list[Match]:
        """Return for each sample the planted answer that fits it best. The run must have at least one planted answer.

        Two signals are combined. The first token shows whether the model begins the planted answer. The attention of
        the heads that separate the answer is used only if the run has questions of the same kind.
        """
        table = _table(rows).with_unit(self._unit)
        matches = []
        for row, question in enumerate(questions):
            kind = self._kinds.of(question)
            candidates = [self._compare(answer, table, row, kind) for answer in self._answers]
            if self._predictor is not None:
                candidates.append(self._predicted(self._predictor, table, row, kind))
            matches.append(max(candidates, key=lambda match: match.score))
        return matches

    def _compare(self, answer: PlantedAnswer, table: ScanTable, row: int, kind: int | None) -> Match:
        place = self._place(answer, table, row, kind)
        log_ratio, deviations = 0.0, None
        if math.isfinite(place):
            # Outside the two medians, the side with more spread would win. So such a place is moved to the median.
            low, high = sorted((answer.ordinary[0], answer.planted[0]))
            bounded = min(max(place, low), high)
            log_ratio = float(
                scipy.stats.norm.logpdf(bounded, *answer.planted) - scipy.stats.norm.logpdf(bounded, *answer.ordinary)
            )
            planted, ordinary = ((place - median) / spread for median, spread in (answer.planted, answer.ordinary))
            deviations = (planted, ordinary)
        begins = None if answer.token is None or table.token is None else bool(table.token[row] == answer.token)
        if begins is not None:
            shares = answer.token_shares.get(kind, answer.token_shares[None])
            outside, inside = (share if begins else 1 - share for share in shares)
            log_ratio += math.log(inside / outside)
        known = place if math.isfinite(place) else None
        score = float(scipy.special.expit(scipy.special.logit(answer.prior) + log_ratio))
        return Match(answer.comparison.candidate.text, begins, known, deviations, score)

    def _predicted(self, predictor: Predictor, table: ScanTable, row: int, kind: int | None) -> Match:
        place = float(predictor.places(table, np.array([row]), np.array([-1 if kind is None else kind]))[0])
        if not math.isfinite(place):
            return Match("", None, None, None, self._share)
        model = predictor.mixture._replace(share=self._share)
        deviations = (
            (place - model.group_centre) / model.group_spread,
            (place - model.centre) / model.spread,
        )
        return Match("", None, place, deviations, float(model.posterior(np.array([place]))[0]))

    def _place(self, answer: PlantedAnswer, table: ScanTable, row: int, kind: int | None) -> float:
        """Return the place of a sample; NaN if no sample of this kind of question has the answer."""
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
    """Return the share of True in `holds` [n] bool.

    Half a count is added on both sides, so that the share is never 0 or 1.
    """
    return float((holds.sum() + 0.5) / (len(holds) + 1))


def _table(rows: Sequence[AttentionRows]) -> ScanTable:
    stacked: dict[str, Any] = {
        name: np.stack([np.asarray(getattr(sample, name)) for sample in rows])
        for name in ("layer_entropy", "layer_entropy_reference", "entropy", "peak", "mass", "token", "image_tokens")
    }
    return ScanTable(tuple(sample.id for sample in rows), **stacked)
