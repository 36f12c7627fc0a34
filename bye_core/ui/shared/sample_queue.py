"""Selects and sorts the samples that Review lists: arrays and a query in, row numbers out. No gradio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bye_core.errors import SettingError
from bye_core.figures import suspicious_side
from bye_core.records import Decision, Detection, ScanTable
from bye_core.sample_texts import Texts, first_rows

UNDECIDED, ACCEPTED, REJECTED = range(3)
CHOICES = {"accept": ACCEPTED, "reject": REJECTED}

SHOWS = ("flagged", "undecided", "accepted", "rejected", "contrary", "disputed", "suspects", "all")
SORTS = ("suspicious", "uncertain", "file")

# Bits of a mark. The page reads them too (assets/scripts/review/page.js).
FLAGGED_BIT, ACCEPTED_BIT, REJECTED_BIT, SUSPECT_BIT, DISPUTED_BIT = 1, 2, 4, 8, 16
UNSCANNED = 255  # the mark of a sample that is not scanned yet
BITS = {
    "flagged": FLAGGED_BIT,
    "accepted": ACCEPTED_BIT,
    "rejected": REJECTED_BIT,
    "suspect": SUSPECT_BIT,
    "disputed": DISPUTED_BIT,
    "unscanned": UNSCANNED,
}

# Number of questions and answers offered as filters. A sample's page offers its own question and answer too.
FACETS = 50


class BadQuery(SettingError):
    problem = "The list {show}, sorted by {sort}, does not exist."
    remedy = "Reload the page."


@dataclass(frozen=True)
class Query:
    """Which samples to list, and in which order.

    show        the list, one of SHOWS
    sort        the order, one of SORTS
    text        must occur in the id, question or answer; case is ignored
    question    number of a row: lists only samples with the same question as that row; None for all
    answer      number of a row: lists only samples with the same answer as that row; None for all
    rows        lists only these rows, such as the samples in a lasso; None for all
    """

    show: str = "all"
    sort: str = "suspicious"
    text: str = ""
    question: int | None = None
    answer: int | None = None
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.show not in SHOWS or self.sort not in SORTS:
            raise BadQuery(show=self.show, sort=self.sort)


class Facet(NamedTuple):
    """A question or answer that several samples share. `row` is the first row that has it."""

    row: int
    text: str
    samples: int


@dataclass(frozen=True)
class Columns:
    """N scanned samples in the table's order, with the last detection's results.

    scores, values  [N], NaN for samples without a detection, such as those scanned later
    flagged         [N] bool
    suspects        [N] bool: not flagged, but worth a look
    side            the suspicious side of the values, "low" or "high"
    """

    ids: tuple[str, ...]
    questions: tuple[str, ...] | Texts
    answers: tuple[str, ...] | Texts
    scores: np.ndarray
    values: np.ndarray
    flagged: np.ndarray
    suspects: np.ndarray
    cutoff: float | None = None
    side: str = "low"

    @cached_property
    def _folded(self) -> tuple[Sequence[str], tuple[tuple[Mapping[int, str], np.ndarray], ...]]:
        """The texts in lower case: of all ids; and, by their first rows, the different questions and answers."""
        texts = ((self.questions, self.same_question), (self.answers, self.same_answer))
        ids = tuple(map(str.casefold, self.ids))
        return ids, tuple((folded(texts, same), same) for texts, same in texts)

    def containing(self, text: str) -> np.ndarray:
        """Return [N] bool: whether the id, question or answer contains `text`; case is ignored."""
        needle = text.casefold()
        ids, columns = self._folded
        found = np.fromiter((needle in id for id in ids), bool, len(ids))
        for different, same in columns:
            hits = np.zeros(len(ids), bool)
            hits[[row for row, one in different.items() if needle in one]] = True
            found |= hits[same]
        return found

    @cached_property
    def same_question(self) -> np.ndarray:
        """[N] row of the first sample with the same question."""
        return self.questions.first_rows if isinstance(self.questions, Texts) else first_rows(self.questions)

    @cached_property
    def same_answer(self) -> np.ndarray:
        return self.answers.first_rows if isinstance(self.answers, Texts) else first_rows(self.answers)

    @cached_property
    def suspicious_order(self) -> np.ndarray:
        """All rows, the highest score first. Equal rows are in the order of the file, and NaN is last."""
        # Many scores are 1.000. Samples with equal scores are sorted by value, the clearest sample first.
        towards = self.values if self.side == "high" else -self.values
        return np.lexsort((-towards, -self.scores))

    @cached_property
    def uncertain_order(self) -> np.ndarray:
        """All rows, the one nearest to the cut-off first."""
        doubt = np.abs(self.scores - 0.5) if self.cutoff is None else np.abs(self.values - self.cutoff)
        return np.argsort(doubt, kind="stable")

    def order(self, sort: str) -> np.ndarray:
        """Return all rows, sorted in an order of SORTS."""
        if sort == "file":
            return np.arange(len(self.ids))
        return self.suspicious_order if sort == "suspicious" else self.uncertain_order


def columns(table: ScanTable, detection: Detection | None) -> Columns:
    """Return the results of the detection, by row of the table. The detection may cover only some of the samples."""
    count = len(table.ids)
    scores, values, flagged = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, bool)
    suspects = np.zeros(count, bool)
    cutoff, side = None, "low"
    if detection is not None:
        rows = at = np.arange(count)
        same_rows = table.ids == detection.ids
        place = {id: row for row, id in enumerate(table.ids)} if detection.suspects or not same_rows else {}
        if not same_rows:
            known = [(place[id], at) for at, id in enumerate(detection.ids) if id in place]
            rows, at = np.array(known, int).reshape(-1, 2).T
        scores[rows], values[rows] = detection.scores[at], detection.values[at]
        flagged[rows] = detection.flagged[at]
        suspects[[place[id] for id in detection.suspects if id in place]] = True
        suspects &= ~flagged
        cutoff, side = detection.cutoff, suspicious_side(detection) or "low"
    return Columns(table.ids, table.questions, table.answers, scores, values, flagged, suspects, cutoff, side)


def folded(texts: Sequence[str], same: np.ndarray) -> Mapping[int, str]:
    """Return the different texts in lower case, by the first row of each."""
    if isinstance(texts, Texts):
        return {row: text.casefold() for row, text in texts.different().items()}
    return {row: texts[row].casefold() for row in np.unique(same).tolist()}


def choices(columns: Columns, decisions: Mapping[str, Decision], row_of: Mapping[str, int]) -> np.ndarray:
    """Return [N] the decision on each row: UNDECIDED, ACCEPTED or REJECTED."""
    found = np.zeros(len(columns.ids), np.uint8)
    for id, decision in decisions.items():
        if id in row_of:
            found[row_of[id]] = CHOICES.get(decision.choice, UNDECIDED)
    return found


def disputed_ids(batches: Iterable[Iterable[Decision]]) -> frozenset[str]:
    """Return the ids on which reviewers of different names differ: one's last choice is accept, another's reject.

    batches: the valid batches of decisions, oldest first.
    """
    last: dict[str, dict[str, str]] = {}
    for decisions in batches:
        for decision in decisions:
            last.setdefault(decision.id, {})[decision.reviewer] = decision.choice
    return frozenset(id for id, by in last.items() if len(by) > 1 and set(CHOICES) <= set(by.values()))


def marks(columns: Columns, chosen: np.ndarray, disputed: np.ndarray | None = None) -> np.ndarray:
    """Return [N] uint8: FLAGGED_BIT, SUSPECT_BIT, ACCEPTED_BIT, REJECTED_BIT and DISPUTED_BIT of every sample."""
    bits = FLAGGED_BIT * columns.flagged + SUSPECT_BIT * columns.suspects
    bits = bits + ACCEPTED_BIT * (chosen == ACCEPTED) + REJECTED_BIT * (chosen == REJECTED)
    if disputed is not None:
        bits = bits + DISPUTED_BIT * disputed
    return bits.astype(np.uint8)


def contrary(columns: Columns, chosen: np.ndarray) -> np.ndarray:
    """Return [N] bool: whether a sample is accepted but flagged, or rejected but not flagged."""
    return ((chosen == ACCEPTED) & columns.flagged) | ((chosen == REJECTED) & ~columns.flagged)


def shown(columns: Columns, chosen: np.ndarray, disputed: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return for each list in SHOWS [N] bool: whether the list contains the sample."""
    return {
        "flagged": columns.flagged,
        "undecided": chosen == UNDECIDED,
        "accepted": chosen == ACCEPTED,
        "rejected": chosen == REJECTED,
        "contrary": contrary(columns, chosen),
        "disputed": np.zeros(len(columns.ids), bool) if disputed is None else disputed,
        "suspects": columns.suspects,
        "all": np.ones(len(columns.ids), bool),
    }


def select(columns: Columns, chosen: np.ndarray, query: Query, disputed: np.ndarray | None = None) -> np.ndarray:
    """Return the rows that `query` selects, in the order of `query.sort`. `disputed`: [N] bool, see disputed_ids."""
    wanted = shown(columns, chosen, disputed)[query.show].copy()
    for row, same in ((query.question, columns.same_question), (query.answer, columns.same_answer)):
        if row is not None:
            wanted &= same == same[row]
    if query.rows is not None:
        limit = np.zeros(len(wanted), bool)
        limit[list(query.rows)] = True
        wanted &= limit
    if needle := query.text.strip():
        wanted &= columns.containing(needle)
    order = columns.order(query.sort)
    return order[wanted[order]]


def facets(texts: Sequence[str], same: np.ndarray, limit: int = FACETS) -> list[Facet]:
    """Return at most `limit` texts that several samples share, most frequent first. `same` is first_rows(texts)."""
    rows, counts = np.unique(same, return_counts=True)
    best = np.lexsort((rows, -counts))[:limit]
    return [Facet(int(rows[at]), texts[rows[at]], int(counts[at])) for at in best if counts[at] > 1]
