"""New samples held against the answers that `auto` found planted: how the model begins, and what it attends to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from bye_core.detect.auto import AutoSettings, Tried, compared, places_of, spread_of
from bye_core.detect.isolation import columns
from bye_core.records import AttentionRows, ScanTable


@dataclass(frozen=True)
class Standard:
    """One planted answer.

    ordinary, planted  (middle, spread) of the places of the run's samples without and with it
    token              with which the model begins it, None where a scan does not tell
    begun              share of the samples without and with it that the model begins so, by kind of question; None: of
                       all kinds to which it is given
    prior              share of the samples that have it
    """

    tried: Tried
    ordinary: tuple[float, float]
    planted: tuple[float, float]
    token: int | None
    begun: dict[int | None, tuple[float, float]]
    prior: float


@dataclass(frozen=True)
class Placed:
    """A new sample beside the planted answer that it fits best.

    answer      that answer
    begins      whether the model begins it here; None where a first token does not tell
    place       between ordinary (0) and planted (1) attention; None where the run has no question of that kind
    deviations  of the place from the middle of the planted and of the ordinary side, in standard deviations
    score       posterior 0..1
    """

    answer: str
    begins: bool | None
    place: float | None
    deviations: tuple[float, float] | None
    score: float


class Planted:
    """The answers that auto calls planted in a run, ready to be held against samples that are not in it."""

    def __init__(self, table: ScanTable, settings: AutoSettings) -> None:
        self._kinds, _, planted, _ = compared(table, settings)
        self._standards = [_standard(table, self._kinds.numbers, one) for one in planted]

    def __len__(self) -> int:
        return len(self._standards)

    def place(self, rows: Sequence[AttentionRows], questions: Sequence[str]) -> list[Placed]:
        """Each sample by the planted answer that it fits best; there must be one.

        Two signals are taken together: the first token, which says whether the model begins the planted answer, and the
        attention of the heads that told it apart; the latter only for questions of a kind that the run had.
        """
        table = _table(rows)
        placed = []
        for row, question in enumerate(questions):
            kind = self._kinds.of(question)
            found = [self._by(one, table, row, kind) for one in self._standards]
            placed.append(max(found, key=lambda one: one.score))
        return placed

    def _by(self, one: Standard, table: ScanTable, row: int, kind: int | None) -> Placed:
        place = math.nan
        for rows, part in one.tried.parts:
            if kind is not None and self._kinds.numbers[rows[0]] == kind:
                place = float(part.places(columns(table, np.array([row]), part.kept))[0])
        speaks, away = 0.0, None
        if math.isfinite(place):
            # Beyond the middles the wider side would win: more than planted is planted, less than ordinary ordinary.
            between = min(max(place, min(one.ordinary[0], one.planted[0])), max(one.ordinary[0], one.planted[0]))
            speaks = float(norm.logpdf(between, *one.planted) - norm.logpdf(between, *one.ordinary))
            away = tuple((place - middle) / spread for middle, spread in (one.planted, one.ordinary))
        begins = None if one.token is None else bool(table.token[row] == one.token)
        if begins is not None:
            outside, inside = (share if begins else 1 - share for share in one.begun.get(kind, one.begun[None]))
            speaks += math.log(inside / outside)
        known = place if math.isfinite(place) else None
        return Placed(one.tried.candidate.text, begins, known, away, float(expit(logit(one.prior) + speaks)))


def _standard(table: ScanTable, kinds: np.ndarray, one: Tried) -> Standard:
    place, member = places_of(table, one), one.candidate.members
    known = np.isfinite(place)
    token, begun = None, {}
    if table.token is not None and one.candidate.whole:
        tokens, counts = np.unique(table.token[member], return_counts=True)
        token = int(tokens[counts.argmax()])
        same = table.token == token
        for kind in (None, *one.candidate.kinds):
            asked = np.isin(kinds, one.candidate.kinds if kind is None else [kind])
            begun[kind] = tuple(_share(same[asked & side]) for side in (~member, member))
    sides = [spread_of(place[known & side]) for side in (~member, member)]
    return Standard(one, *sides, token, begun, float(member.mean()))


def _share(true: np.ndarray) -> float:
    """Of bools [n]; never quite none nor all."""
    return float((true.sum() + 0.5) / (len(true) + 1))


def _table(rows: Sequence[AttentionRows]) -> ScanTable:
    stacked = {
        name: np.stack([np.asarray(getattr(one, name)) for one in rows])
        for name in ("layer_entropy", "layer_entropy_reference", "entropy", "peak", "mass", "token")
    }
    return ScanTable(tuple(one.id for one in rows), **stacked)
