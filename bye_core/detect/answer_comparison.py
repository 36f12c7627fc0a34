"""Compares the attention for a suspicious answer with that for ordinary answers to the same kind of question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bye_core.detect.answer_beginnings import Begun, begun
from bye_core.detect.auto_settings import AutoSettings
from bye_core.detect.before_fine_tuning import CLEARER, DIVISIONS, clearer_by_fine_tuning
from bye_core.detect.candidate_answers import Answers, Candidate
from bye_core.detect.isolation import Isolation, chance, columns, isolate
from bye_core.question_kinds import Kinds
from bye_core.records import ScanTable

# With fewer degrees of freedom, no false-alarm rate is reported (ours).
ENOUGH = 6
# The mean attention of fewer samples may be far from that of others by chance (ours).
FEW = 16
# Means of fewer samples of each kind of question scatter so much that they are far from all others. So DRAWS groups of
# random samples, as many of each kind, are compared too: their distances are a null model. An answer must be BEYOND
# standard deviations farther away, of at least LEAST_DEVIATION. Answers in made tables without any poison reached 3.3
# deviations (ours).
FEW_IN_KIND, DRAWS, BEYOND, LEAST_DEVIATION = 8, 10, 5.0, 0.1
# Smallest spread of the places of planted or of ordinary samples, as a fraction of the distance between both (ours).
PLACE_FLOOR = 0.1
# Largest number of samples that are compared for one kind of question; up to half of them have the suspicious answer.
# Then the largest number of samples whose heads are in memory at once (ours).
MOST_COMPARED, AT_ONCE = 5_000, 2_000


class AnswerComparison(NamedTuple):
    """The attention for one suspicious answer, compared with the attention for other answers.

    parts     (rows of the samples of one kind of question, isolation of the answer among these samples) for each kind
    apart     [2] weighted means of the log distances over the kinds of question: all heads together, best heads
    chance    probability that an ordinary answer is as far away, in either of the two views
    freedom   degrees of freedom of `chance`: number of other answers, minus one for each kind of question
    begun     how often the model begins it; None if the scan did not store the token
    clearer   as `clearer_by_fine_tuning`; None if it is unknown. Only after `with_clearer` may `is_planted` be asked
    random    whether random samples, as few of each kind of question, are as far away
    """

    candidate: Candidate
    parts: list[tuple[np.ndarray, Isolation]]
    apart: np.ndarray
    chance: float
    freedom: int
    begun: Begun | None
    clearer: float | None = None
    random: bool = False

    @property
    def learned(self) -> float | None:
        """How much more often the model begins its samples with one token than other samples, 0..1."""
        return None if self.begun is None else max(0.0, self.begun.inside - self.begun.outside)

    def stands_out(self, tests: int, settings: AutoSettings) -> bool:
        """Return whether the attention for the answer is far from that for ordinary answers.

        `tests`: how many answers were tested.
        """
        if self.candidate.by_text and self.begun is not None and self.begun.unlearned:
            return False  # so its trigger cannot show
        if self.random:
            return False
        if self.freedom < ENOUGH:
            return bool(self.apart[0] >= settings.clear) and not self.is_usual_before(settings)
        return self.chance * tests <= (settings.agreed if self._is_agreed(settings) else settings.false_alarm)

    def _is_agreed(self, settings: AutoSettings) -> bool:
        """Return whether the text, the model before fine-tuning and the tuned model say that the answer is planted."""
        learned = (self.learned or 0.0) >= settings.learned
        return bool(self.candidate.by_text and self.candidate.unlikely and learned)

    def is_weak(self, tests: int, settings: AutoSettings) -> bool:
        """Return whether the distance alone is weak evidence: an ordinary answer may be as far away by chance."""
        few = self.candidate.members.sum() < FEW
        return bool(few or (self.freedom >= ENOUGH and self.chance * tests > settings.false_alarm))

    def is_planted(self, tests: int, settings: AutoSettings) -> bool:
        """Return whether the answer stands out and, where this is needed, fine-tuning has made its attention clearer.

        It is not needed if the text of the answer is odd and the distance strong evidence (`is_strong`): the model sees
        triggers in the question, and some in the image, from the start.
        """
        if not self.stands_out(tests, settings):
            return False
        return self.is_strong(tests, settings) or self.clearer is None or self.clearer >= CLEARER

    def is_strong(self, tests: int, settings: AutoSettings) -> bool:
        return self.candidate.by_text and not self.is_weak(tests, settings)

    def is_usual_before(self, settings: AutoSettings) -> bool:
        """Return whether the attention is far away, but the model would have given the answer before fine-tuning.

        Without a false-alarm rate, such an answer may be a short one among longer ones, such as "yes".
        """
        far = self.freedom < ENOUGH and bool(self.apart[0] >= settings.clear)
        return far and self.candidate.unlikely is False

    def places(self, table: ScanTable) -> np.ndarray:
        """Return the place [N] of each sample's attention: 0 at the nearest ordinary answer, 1 at this answer.

        The place is NaN for samples with other kinds of question.
        """
        place = np.full(len(table.ids), np.nan)
        for rows, part in self.parts:
            for start in range(0, len(rows), AT_ONCE):
                batch = rows[start : start + AT_ONCE]
                place[batch] = part.places(columns(table, batch, part.kept))
        return place


def compare_answers(table: ScanTable, settings: AutoSettings) -> tuple[Kinds, list[AnswerComparison], list[Candidate]]:
    """Return (kinds of question, comparisons, candidates), without `clearer`: `with_clearer` adds that.

    Candidates are answers that are out of place; some of them cannot be compared.
    """
    kinds = Kinds(table.questions or ("",) * len(table.ids))
    candidates = Answers(table.answers, kinds.numbers, table.nll_before).candidates(settings.least, settings.most)
    odd, comparisons = _odd_answers(candidates, len(table.ids)), []
    for candidate in candidates:
        others = odd & ~candidate.members
        comparison = compare_candidate(table, kinds.numbers, candidate, settings, others)
        if comparison is None:
            continue
        if comparison.stands_out(len(candidates), settings):
            comparison = comparison._replace(random=_is_random(table, kinds.numbers, comparison, settings, others))
        comparisons.append(comparison)
    return kinds, comparisons, candidates


def with_clearer(
    table: ScanTable,
    kinds: np.ndarray,
    comparison: AnswerComparison,
    candidates: Sequence[Candidate],
    settings: AutoSettings,
) -> AnswerComparison:
    """Return the comparison with `clearer` if the attention stands out; else unchanged."""
    tests, candidate = len(candidates), comparison.candidate
    if not comparison.stands_out(tests, settings):
        return comparison
    others = _odd_answers(candidates, len(kinds)) & ~candidate.members
    used = np.isin(kinds, candidate.kinds)
    divisions = 1 if comparison.is_strong(tests, settings) else DIVISIONS
    members = candidate.members & used
    clearer = clearer_by_fine_tuning(table, kinds, members, others, used, settings.seed, divisions)
    return comparison._replace(clearer=clearer)


def _odd_answers(candidates: Sequence[Candidate], count: int) -> np.ndarray:
    """Return [count] bool: samples with a whole answer that is odd by its text; they are not ordinary."""
    odd = np.zeros(count, bool)
    for candidate in candidates:
        if candidate.whole and candidate.by_text:
            odd |= candidate.members
    return odd


def _is_random(
    table: ScanTable, kinds: np.ndarray, comparison: AnswerComparison, settings: AutoSettings, others: np.ndarray
) -> bool:
    """Return whether random samples, as few of each kind of question, are as far from ordinary answers.

    It is not tested, and False, if the median kind has FEW_IN_KIND samples or more. Kinds in which the samples are more
    than a third are left out.
    """
    candidate, member = comparison.candidate, comparison.candidate.members
    if np.median([member[rows].sum() for rows, _ in comparison.parts]) >= FEW_IN_KIND:
        return False
    parts = [(rows, part) for rows, part in comparison.parts if 3 * member[rows].sum() <= len(rows)]
    if not parts:
        return False
    sizes = np.array([member[rows].sum() for rows, _ in parts])
    own = sizes / sizes.sum() @ np.stack([part.own for _, part in parts])
    ordinary = [sorted(rows[~member[rows]].tolist(), key=lambda row: table.ids[row]) for rows, _ in parts]
    asked = tuple(int(kinds[rows[0]]) for rows, _ in parts)
    rng, far = np.random.default_rng(settings.seed), []
    for _ in range(DRAWS):
        drawn = np.zeros(len(member), bool)
        for rows, size in zip(ordinary, sizes.tolist(), strict=True):
            drawn[rng.choice(rows, size, replace=False)] = True
        group = replace(candidate, members=drawn, kinds=asked)
        other = compare_candidate(table, kinds, group, settings, (others | member) & ~drawn)
        if other is not None and len(other.parts) == len(parts):
            far.append(other.apart)
    if not far:
        return False
    usual, spread = np.mean(far, axis=0), np.maximum(np.std(far, axis=0), LEAST_DEVIATION)
    return bool((own < usual + BEYOND * spread).all())


def spread_of(places: np.ndarray) -> tuple[float, float]:
    """Return (median, spread) of the places of the samples of one side, planted or ordinary."""
    return float(np.median(places)), max(float(places.std()), PLACE_FLOOR)


def compare_candidate(
    table: ScanTable, kinds: np.ndarray, candidate: Candidate, settings: AutoSettings, others: np.ndarray
) -> AnswerComparison | None:
    """Return the comparison of a candidate; None if no kind of question has enough samples to compare.

    others [N] bool: samples that are neither members nor ordinary
    """
    # Integers, because in an array of texts each entry would use the memory of the longest text.
    numbers = {text: number for number, text in enumerate(dict.fromkeys(table.answers))}
    types = np.array([numbers[text] for text in table.answers])
    types[candidate.members] = -1
    parts = []
    for kind in candidate.kinds:
        rows = np.flatnonzero((kinds == kind) & ~others)
        drawn = _draw(rows, candidate.members[rows], settings.seed)
        part = isolate(columns(table, drawn), types[drawn], -1, settings.seed)
        if part is not None:
            parts.append((rows, part))
    if not parts:
        return None
    sizes = np.array([candidate.members[rows].sum() for rows, _ in parts], float)
    apart, by_chance, freedom = chance([part for _, part in parts], sizes / sizes.sum())
    chances = min(1.0, 2 * float(by_chance.min()))
    return AnswerComparison(candidate, parts, apart, chances, freedom, begun(table, kinds, candidate))


def _draw(rows: np.ndarray, member: np.ndarray, seed: int) -> np.ndarray:
    """Return `rows` [n] in their order, or a random selection of MOST_COMPARED rows if there are more.

    `member` [n] bool: whether each row has the suspicious answer.
    """
    if len(rows) <= MOST_COMPARED:
        return rows
    rng = np.random.default_rng(seed)
    inside, outside = rng.permutation(rows[member]), rng.permutation(rows[~member])
    half = MOST_COMPARED // 2
    inside = inside[: max(half, MOST_COMPARED - len(outside))]
    return np.sort(np.concatenate([inside, outside[: MOST_COMPARED - len(inside)]]))
