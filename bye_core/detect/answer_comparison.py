"""Compares the attention for a suspicious answer with that for ordinary answers to the same kind of question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bye_core.detect.candidate_answers import Answers, Candidate
from bye_core.detect.isolation import Isolation, chance, columns, isolate
from bye_core.detect.settings import check_settings, require, seed_setting, setting, share_setting
from bye_core.question_kinds import Kinds
from bye_core.records import ScanTable

# With fewer degrees of freedom no false-alarm rate is stated (ours).
ENOUGH = 6
# Smallest spread of the places on one side, as a part of the distance between the sides (ours).
PLACE_FLOOR = 0.1
# Most samples of one kind of question that are compared, of which up to half have the suspicious answer; and most
# samples whose heads are in memory at once (ours).
MOST_COMPARED, AT_ONCE = 5_000, 2_000


@dataclass(frozen=True)
class AutoSettings:
    """All default values are ours, chosen on development runs.

    false_alarm  bound on the chance that an ordinary answer lies as far off, times the number of answers tested
    agreed       the same bound for a whole answer that both its text and the model before fine-tuning call out of
                 place, and that the model gives at once. Triggers all over the picture had up to 0.28; an honest "too
                 blurry to tell" had 0.88 and more.
    learned      the model gives an answer at once if it begins with the same token for this share of the samples that
                 have it, beyond the share among other samples. Planted answers had 0.98, others 0.83.
    clear        replaces both where too few other answers can be compared: logarithm of the distance to the nearest
                 other answer, relative to the usual distance. 0.6 is 1.8 times; ordinary answers reached 0.6.
    least, most  the suspected share of the samples
    seed         of the grouping that is used where answers do not repeat
    """

    false_alarm: float = share_setting(
        0.01, "how often chance may set an ordinary answer this far apart", "False-alarm rate", above=0
    )
    agreed: float = share_setting(
        0.5,
        "for answers that text and untuned model both call odd, and that the model now gives",
        "False-alarm rate with more evidence",
        above=0,
    )
    learned: float = share_setting(
        0.9, "share of its samples for which the model must give such an answer", "Learned from", above=0
    )
    clear: float = setting(0.6, "logarithm; used where there are too few answers for a rate", "Clear distance", low=0)
    least: float = share_setting(0.004, "of the samples that may be planted", "Smallest share")
    most: float = share_setting(0.45, "of the samples that may be planted", "Largest share")
    seed: int = seed_setting(help="seed of the grouping of answers that do not repeat")

    def __post_init__(self) -> None:
        check_settings(self)
        require(self.most > self.least, "most", self.most, "a share above the least, up to 1")


class AnswerComparison(NamedTuple):
    """The attention for one suspicious answer, compared with that for other answers.

    parts     (rows of the samples of one kind of question, isolation of the answer among them)
    apart     [2] weighted means of the parts' log distances: all heads together, best heads
    chance    how often an ordinary answer would lie as far off, in either of the two views
    freedom   degrees of freedom of `chance`: number of other answers, less one for each kind of question
    learned   share of its samples for which the model begins with one and the same token, beyond the share among other
              samples; None if the scan cannot tell
    """

    candidate: Candidate
    parts: list[tuple[np.ndarray, Isolation]]
    apart: np.ndarray
    chance: float
    freedom: int
    learned: float | None

    def stands_out(self, tests: int, settings: AutoSettings) -> bool:
        """Return whether attention calls the answer planted, one of `tests` answers that were tested."""
        if self.freedom < ENOUGH:
            return bool(self.apart[0] >= settings.clear)
        agreed = self.candidate.sure and (self.learned or 0.0) >= settings.learned
        return self.chance * tests <= (settings.agreed if agreed else settings.false_alarm)

    def places(self, table: ScanTable) -> np.ndarray:
        """Return the place of each sample's attention [N] between the nearest ordinary answer (0) and this one (1).

        NaN for samples with other kinds of question.
        """
        place = np.full(len(table.ids), np.nan)
        for rows, part in self.parts:
            for start in range(0, len(rows), AT_ONCE):
                batch = rows[start : start + AT_ONCE]
                place[batch] = part.places(columns(table, batch, part.kept))
        return place


def compare_answers(
    table: ScanTable, settings: AutoSettings
) -> tuple[Kinds, list[AnswerComparison], list[AnswerComparison], list[Candidate]]:
    """Return the kinds of question, all comparisons, those of planted answers, and all candidates.

    Candidates are answers that are out of place; some cannot be compared.
    """
    kinds = Kinds(table.questions or ("",) * len(table.ids))
    candidates = Answers(table.answers, kinds.numbers, table.nll_before).candidates(settings.least, settings.most)
    tested = (_compare(table, kinds.numbers, candidate, settings) for candidate in candidates)
    comparisons = [comparison for comparison in tested if comparison]
    planted = [comparison for comparison in comparisons if comparison.stands_out(len(candidates), settings)]
    return kinds, comparisons, planted, candidates


def spread_of(places: np.ndarray) -> tuple[float, float]:
    """Return the median and the spread of the places of one side."""
    return float(np.median(places)), max(float(places.std()), PLACE_FLOOR)


def _compare(
    table: ScanTable, kinds: np.ndarray, candidate: Candidate, settings: AutoSettings
) -> AnswerComparison | None:
    """Return None if no kind of question has enough samples to compare."""
    # Integers instead of an array of texts, in which each entry would take the memory of the longest text.
    numbers = {text: number for number, text in enumerate(dict.fromkeys(table.answers))}
    types = np.array([numbers[text] for text in table.answers])
    types[candidate.members] = -1
    parts = []
    for kind in candidate.kinds:
        rows = np.flatnonzero(kinds == kind)
        drawn = _draw(rows, candidate.members[rows], settings.seed)
        part = isolate(columns(table, drawn), types[drawn], -1, settings.seed)
        if part is not None:
            parts.append((rows, part))
    if not parts:
        return None
    sizes = np.array([candidate.members[rows].sum() for rows, _ in parts], float)
    apart, by_chance, freedom = chance([part for _, part in parts], sizes / sizes.sum())
    chances = min(1.0, 2 * float(by_chance.min()))
    return AnswerComparison(candidate, parts, apart, chances, freedom, _learned(table, kinds, candidate))


def _learned(table: ScanTable, kinds: np.ndarray, candidate: Candidate) -> float | None:
    """Return None for a word within answers: the scan keeps the first token only."""
    if table.token is None or not candidate.whole:
        return None
    asked = np.isin(kinds, candidate.kinds)
    inside, outside = table.token[asked & candidate.members], table.token[asked & ~candidate.members]
    tokens, counts = np.unique(inside, return_counts=True)
    return max(0.0, float(counts.max() / len(inside) - np.mean(outside == tokens[counts.argmax()])))


def _draw(rows: np.ndarray, member: np.ndarray, seed: int) -> np.ndarray:
    """Return all of `rows` [n], or a random MOST_COMPARED of them, in order; `member` [n] bool."""
    if len(rows) <= MOST_COMPARED:
        return rows
    rng = np.random.default_rng(seed)
    inside, outside = rng.permutation(rows[member]), rng.permutation(rows[~member])
    half = MOST_COMPARED // 2
    inside = inside[: max(half, MOST_COMPARED - len(outside))]
    return np.sort(np.concatenate([inside, outside[: MOST_COMPARED - len(inside)]]))
