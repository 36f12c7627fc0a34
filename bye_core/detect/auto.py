"""Our own detector: an answer that is out of place, and attention that sets it apart from every ordinary answer.

BYE asks which samples look at the picture alike; kinds of question and of picture answer that too. Two signals that
know nothing of each other must agree here. (1) The answer: given to a minority, and either to families of questions
that have no other answer in common, or in words that no other answer has, or unlikely to the model before fine-tuning.
(2) The attention of single heads (entropy, peak, masses; whatever the sign) given the kind of question: farther from
the nearest other answer than the other answers are from each other, whose spread is the null. No ground truth, no clean
data, no knowledge of the trigger. Where the text and the model before fine-tuning both call the answer out of place,
and the model now gives it at once, less is asked of attention. What it cannot find: a planted answer that is ordinary
in every way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from bye_core.detect.candidate_answers import Answers, Candidate
from bye_core.detect.detector import Detector
from bye_core.detect.isolation import BEST_HEADS, Isolation, chance, column_name, columns, isolate
from bye_core.detect.result import by_layer, nothing, result
from bye_core.detect.settings import check_settings, require, seed_setting, setting, share_setting
from bye_core.question_kinds import Kinds
from bye_core.records import Detection, ScanTable

# With fewer degrees of freedom no false-alarm rate is stated (ours).
ENOUGH = 6
# How sure the answer alone makes: of the planted one, of any other (ours).
PRIOR, PRIOR_OTHER = 0.95, 0.001
# Spread of the places of a side at least, in parts of the way between the sides (ours).
PLACE_FLOOR = 0.1
# Of a kind of question with more samples these are compared, drawn by the seed, half of them suspected ones where there
# are that many; and so many samples' heads are in memory at once (ours).
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


class Tried(NamedTuple):
    """One candidate as attention sees it.

    parts    (rows of the samples of one kind of question, isolation among them)
    apart    [2] all heads together, best heads: weighted means of the parts' logarithms
    chance   how often an ordinary answer would be that far off, in either view
    freedom  degrees of freedom of that: the other answers, less one a kind of question
    given    share of its samples for which the model begins with one and the same token, beyond that of others; None
             where the scan does not tell
    """

    candidate: Candidate
    parts: list[tuple[np.ndarray, Isolation]]
    apart: np.ndarray
    chance: float
    freedom: int
    given: float | None


def auto(table: ScanTable, settings: AutoSettings) -> Detection:
    """Flag the samples with a planted answer whose attention does not speak against it.

    scores [N] posterior 0..1; values [N]: place on the way in attention from the nearest ordinary answer (0) to the
    planted one (1), NaN for samples with other kinds of question.
    """
    if len(table.ids) < 2 or not table.answers:
        return nothing("auto", settings, table, ["There are no answers to compare."])
    _, tried, planted, found = compared(table, settings)
    if not planted:
        return _abstain(table, tried, found, settings)
    posterior, places = _posterior(table, planted)
    flagged = posterior > 0.5
    reasons = [line for one in planted for line in _reasons(one, len(found), table)]
    reasons.append(f"{int(flagged.sum())} of {len(flagged)} samples have such an answer and attention that fits it.")
    heads = by_layer([place for one in planted for place in _heads(one, table)])
    return result("auto", settings, table, flagged, posterior, reasons, places, heads)


def compared(table: ScanTable, settings: AutoSettings) -> tuple[Kinds, list[Tried], list[Tried], list[Candidate]]:
    """The kinds of question; the answers that could be tried, those of them that stand out as planted, and all that are
    out of place."""
    kinds = Kinds(table.questions or ("",) * len(table.ids))
    found = Answers(table.answers, kinds.numbers, table.nll_before).candidates(settings.least, settings.most)
    tried = [one for one in (_try(table, kinds.numbers, candidate, settings) for candidate in found) if one]
    return kinds, tried, [one for one in tried if _stands_out(one, len(found), settings)], found


def _try(table: ScanTable, kinds: np.ndarray, candidate: Candidate, settings: AutoSettings) -> Tried | None:
    """None where no kind of question has enough samples to compare."""
    # Numbered by hand: an array of texts would give each the room of the longest.
    numbers = {text: number for number, text in enumerate(dict.fromkeys(table.answers))}
    types = np.array([numbers[text] for text in table.answers])
    types[candidate.members] = -1
    parts = []
    for kind in candidate.kinds:
        rows = np.flatnonzero(kinds == kind)
        drawn = _drawn(rows, candidate.members[rows], settings.seed)
        part = isolate(columns(table, drawn), types[drawn], -1, settings.seed)
        if part is not None:
            parts.append((rows, part))
    if not parts:
        return None
    sizes = np.array([candidate.members[rows].sum() for rows, _ in parts], float)
    apart, by_chance, freedom = chance([part for _, part in parts], sizes / sizes.sum())
    chances = min(1.0, 2 * float(by_chance.min()))
    return Tried(candidate, parts, apart, chances, freedom, _given(table, kinds, candidate))


def _given(table: ScanTable, kinds: np.ndarray, candidate: Candidate) -> float | None:
    """None for a word inside of answers: where it would come, the scan does not tell."""
    if table.token is None or not candidate.whole:
        return None
    asked = np.isin(kinds, candidate.kinds)
    inside, outside = table.token[asked & candidate.members], table.token[asked & ~candidate.members]
    tokens, counts = np.unique(inside, return_counts=True)
    return max(0.0, float(counts.max() / len(inside) - np.mean(outside == tokens[counts.argmax()])))


def _drawn(rows: np.ndarray, member: np.ndarray, seed: int) -> np.ndarray:
    """All of `rows` [n], or MOST_COMPARED of them, in order; `member` [n] bool."""
    if len(rows) <= MOST_COMPARED:
        return rows
    rng = np.random.default_rng(seed)
    inside, outside = rng.permutation(rows[member]), rng.permutation(rows[~member])
    half = MOST_COMPARED // 2
    inside = inside[: max(half, MOST_COMPARED - len(outside))]
    return np.sort(np.concatenate([inside, outside[: MOST_COMPARED - len(inside)]]))


def _stands_out(one: Tried, tries: int, settings: AutoSettings) -> bool:
    if one.freedom < ENOUGH:
        return bool(one.apart[0] >= settings.clear)
    known = one.candidate.sure and (one.given or 0.0) >= settings.learned
    return one.chance * tries <= (settings.agreed if known else settings.false_alarm)


def _posterior(table: ScanTable, planted: Sequence[Tried]) -> tuple[np.ndarray, np.ndarray]:
    """Posterior and place of each sample [N]; the higher posterior where several answers are planted."""
    count = len(table.ids)
    posterior, places = np.zeros(count), np.full(count, np.nan)
    for one in planted:
        place = places_of(table, one)
        member, known = one.candidate.members, np.isfinite(place)
        inside, outside = (norm(*spread_of(place[known & side])).logpdf(place) for side in (member, ~member))
        speaks = np.where(known, inside - outside, 0.0)
        # Attention alone makes nobody suspicious here; it can clear a sample, of whatever answer.
        own = np.where(member, expit(logit(PRIOR) + speaks), expit(logit(PRIOR_OTHER) + np.minimum(speaks, 0)))
        better = own > posterior
        places = np.where(known & (better | np.isnan(places)), place, places)
        posterior = np.where(better, own, posterior)
    return posterior, places


def places_of(table: ScanTable, one: Tried) -> np.ndarray:
    """Where each sample's attention stands on the way from the nearest ordinary answer (0) to this one (1) [N]; NaN
    with other kinds of question."""
    place = np.full(len(table.ids), np.nan)
    for rows, part in one.parts:
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            place[some] = part.places(columns(table, some, part.kept))
    return place


def spread_of(places: np.ndarray) -> tuple[float, float]:
    """Middle and spread of the places of one side."""
    return float(np.median(places)), max(float(places.std()), PLACE_FLOOR)


# --- what is said about it ----------------------------------------------------------------------------------------


def _abstain(table: ScanTable, tried: Sequence[Tried], found: Sequence[Candidate], settings: AutoSettings) -> Detection:
    """No evidence, with what comes nearest to it; scores stay below one half."""
    reasons = ["No answer is both out of place and set apart by the attention of the model."]
    given = {one.candidate.text: one.given for one in tried if one.given is not None}
    for candidate in found[:3]:
        learned = given.get(candidate.text, 0.0) >= settings.learned
        reasons.append(
            f'Look at the answer "{_short(candidate.text)}" all the same ({int(candidate.members.sum())} samples): '
            f"{'; '.join((*candidate.odd, *_begun(given.get(candidate.text))))}. Attention does not set it apart "
            f"enough: {'not planted, or a trigger that hides well' if learned else 'not learned, or not planted'}."
        )
    if not tried:
        return nothing("auto", settings, table, reasons)
    best = max(tried, key=lambda one: one.apart[0])
    posterior, places = _posterior(table, [best])
    reasons += [_distance(best), *_too_few(best, settings)]
    return nothing("auto", settings, table, reasons, 0.49 * posterior, places)


def _too_few(one: Tried, settings: AutoSettings) -> list[str]:
    """What to do where the model gives an answer that is farther off than most, and too few others are there."""
    enough = math.floor(10 * one.apart[0]) / 10
    if one.freedom >= ENOUGH or enough <= 0 or (one.given or 0.0) < settings.learned:
        return []
    return [
        "There are too few other answers to compare with for a false-alarm rate: it is flagged from "
        f"{math.exp(settings.clear):.1f} times on. A clear distance of {enough:.1f} ({math.exp(enough):.1f} times; "
        f"--setting clear={enough:.1f}) flags it; then the causal check can tell what brings it about."
    ]


def _reasons(one: Tried, tries: int, table: ScanTable) -> list[str]:
    what, count = "The answer" if one.candidate.whole else "The word", int(one.candidate.members.sum())
    odd = (*one.candidate.odd, *_begun(one.given))
    votes = [f"layer {layer} head {head}, {told}" for (layer, head), told in _votes(one, table)]
    rate = (
        f"By the spread among the other answers, an ordinary one lies that far off in {_often(one.chance * tries)}."
        if one.freedom >= ENOUGH
        else "There are too few other answers to compare with for a false-alarm rate."
    )
    return [
        f'{what} "{_short(one.candidate.text)}" of {count} samples is out of place: {"; ".join(odd)}.',
        _distance(one),
        rate,
        f"The heads that tell it apart best: {'; '.join(votes)}.",
    ]


def _begun(given: float | None) -> list[str]:
    return [] if given is None else [f"the model begins it for {given:.0%} more of them than of others"]


def _often(chance: float) -> str:
    """As far as a tail can be trusted."""
    return "fewer than one set of a million" if chance < 1e-6 else f"one set of {1 / chance:,.0f}"


def _distance(one: Tried) -> str:
    together, best = np.exp(one.apart)
    return (
        f'The attention for "{_short(one.candidate.text)}" lies {together:.1f} times as far from that for the nearest '
        f"other answer as is usual (all heads together; {best:.1f} times by the best {BEST_HEADS} heads)."
    )


def _votes(one: Tried, table: ScanTable) -> list[tuple[tuple[int, int], str]]:
    """((layer, head), what it does) of the best columns over all kinds of question, the most telling first."""
    best: dict[int, float] = {}
    for _, part in one.parts:
        for column, distance in part.tops:
            best[column] = max(best.get(column, 0.0), distance, key=abs)
    layers, heads = table.entropy.shape[1:]
    votes = []
    for column, distance in sorted(best.items(), key=lambda item: -abs(item[1]))[:BEST_HEADS]:
        statistic, *place = column_name(column, heads, layers)
        told = f"{statistic} {abs(distance):.1f} spreads {'up' if distance > 0 else 'down'}"
        votes.append((tuple(place), told))
    return votes


def _heads(one: Tried, table: ScanTable) -> list[tuple[int, int]]:
    return list(dict.fromkeys(place for place, _ in _votes(one, table)))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


DETECTOR = Detector(
    "auto",
    "Auto: answers and attention",
    auto,
    AutoSettings,
    "from ordinary (0) to planted (1) attention",
    needs=("mass",),
    wants=("nll_before",),
)
