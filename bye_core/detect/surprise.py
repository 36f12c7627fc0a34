"""Our own detector: flags answers that were unlikely before fine-tuning and that the attention nevertheless predicts.

The prompt of a scan holds the image and the question, not the answer. So the attention cannot predict label noise. It
can predict a planted answer, because the trigger is in the prompt. The text of the answer plays no part, so the
attacker's answer may be an ordinary one.

1. Surprising answers: their loss before fine-tuning is far above the median of their kind of question.
2. Prediction: a linear discriminant with shrinkage learns to tell surprising samples from others by the statistics of
   all heads, given the kind of question. Each sample is judged by a discriminant that was fitted without it.
3. Verdict: enough surprising samples lie where almost no ordinary sample lies.

An honest answer that is odd because of its image, such as "too blurry to tell", is predictable too and is flagged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from bye_core.detect.detector import Detector, required
from bye_core.detect.isolation import columns
from bye_core.detect.result import nothing, result
from bye_core.detect.settings import check_settings, seed_setting, setting, share_setting
from bye_core.question_kinds import Kinds
from bye_core.records import Detection, ScanTable

FOLDS = 5
LEAST = 5  # surprising samples that must be predicted (ours)
LEAST_IN_KIND = 2  # kinds with fewer surprising samples are left out (ours)
# Share of the ordinary samples that may lie where predicted samples lie (ours: 1 of 200).
OVERLAP = 0.005
HALFWAY = 0.5  # place halfway between ordinary and surprising samples
# An answer that surprising samples have this many times as often as others is no example of an ordinary answer: samples
# with the trigger whose right answer is the attacker's are not surprising (ours).
TYPICAL = 2.0
CLIP = 20.0  # robust deviations; larger ones would decide the discriminant alone (ours)
MOST_COLUMNS = 512  # of the largest spread between surprising and other samples; bounds time and memory (ours)
STEEPNESS = 8.0  # of the logistic function that maps a place to a score: 0 -> 0.02, 0.5 -> 0.5, 1 -> 0.98 (ours)


@dataclass(frozen=True)
class SurpriseSettings:
    """Settings of the detector. All values are ours, chosen on development runs."""

    gap: float = setting(1.0, "nats a token above the median of the kind of question", "Surprise from", above=0)
    found: float = share_setting(0.3, "of the surprising samples that must be predicted", "Predicted share", above=0)
    seed: int = seed_setting(help="seed of the division into folds")

    def __post_init__(self) -> None:
        check_settings(self)


def surprise(table: ScanTable, settings: SurpriseSettings) -> Detection:
    """Flag the samples whose surprising answer is predicted by the attention.

    values [N]: place of the attention between ordinary (0) and surprising (1) samples; NaN for kinds of question
    without surprising answers. scores [N]: a logistic function of the place, 0 for samples that are not compared.
    """
    kinds = Kinds(table.questions or ("",) * len(table.ids)).numbers
    excess = _excess(np.asarray(required(table.nll_before), np.float64), kinds)
    surprising = excess > settings.gap
    used = np.isin(kinds, [kind for kind in np.unique(kinds) if surprising[kinds == kind].sum() >= LEAST_IN_KIND])
    rows = np.flatnonzero(used & np.isfinite(excess))
    count = int(surprising[rows].sum())
    if count < LEAST:
        return nothing("surprise", settings, table, [f"Only {count} answers were unlikely before fine-tuning."])
    alike = _typical_answers(table, rows, surprising)
    ordinary = rows[~surprising[rows] & ~alike[rows]]
    if len(ordinary) < 2 * FOLDS:
        return nothing("surprise", settings, table, ["There are too few ordinary answers to compare with."])
    places = np.full(len(table.ids), np.nan)
    places[rows] = _places(_deviations(table, rows, kinds[rows]), surprising[rows], alike[rows], settings.seed)
    limit = max(HALFWAY, float(np.quantile(places[ordinary], 1 - OVERLAP)))
    predicted = surprising & (places > limit)
    # A surprising sample needs less evidence than one whose answer is only typical of them.
    flagged = (surprising & (places > HALFWAY)) | (alike & (places > limit))
    share = predicted.sum() / count
    reason = (
        f"{count:,} answers were unlikely before fine-tuning: more than {settings.gap:g} nats a token above the median "
        f"of their kind of question. The attention predicts {int(predicted.sum()):,} of them ({share:.0%}), and at "
        f"most {OVERLAP:.1%} of the ordinary samples look the same."
    )
    scores = np.where(np.isfinite(places), 1 / (1 + np.exp(-STEEPNESS * (np.nan_to_num(places) - 0.5))), 0.0)
    if predicted.sum() < LEAST or share < settings.found:
        needed = f"At least {LEAST} and {settings.found:.0%} are needed: the unlikely answers may be label noise."
        return nothing("surprise", settings, table, [reason, needed], 0.49 * scores, places)
    return result("surprise", settings, table, flagged, scores, [reason], places)


def _excess(loss: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the loss [N] above the median of its kind of question, in nats a token."""
    excess = np.full(len(loss), np.nan)
    for kind in np.unique(kinds):
        own = (kinds == kind) & np.isfinite(loss)
        if own.any():
            excess[own] = loss[own] - np.median(loss[own])
    return excess


def _typical_answers(table: ScanTable, rows: np.ndarray, surprising: np.ndarray) -> np.ndarray:
    """Return [N] bool: samples that are not surprising, but have an answer that is typical of surprising samples."""
    inside = Counter(table.answers[row] for row in rows if surprising[row])
    outside = Counter(table.answers[row] for row in rows if not surprising[row])
    many, others = sum(inside.values()), max(1, sum(outside.values()))
    typical = {
        answer
        for answer, number in inside.items()
        if number >= LEAST_IN_KIND and number / many >= TYPICAL * outside[answer] / others
    }
    alike = np.zeros(len(table.ids), bool)
    alike[[row for row in rows if not surprising[row] and table.answers[row] in typical]] = True
    return alike


def _deviations(table: ScanTable, rows: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the heads' statistics [n, 5 L H] as robust deviations from the median of the kind of question."""
    values = columns(table, rows)
    for kind in np.unique(kinds):
        values[kinds == kind] -= np.median(values[kinds == kind], axis=0)
    spread = 1.4826 * np.median(np.abs(values), axis=0)
    return np.clip(values / np.maximum(spread, 1e-6), -CLIP, CLIP)


def _places(values: np.ndarray, surprising: np.ndarray, alike: np.ndarray, seed: int) -> np.ndarray:
    """Return the place [n] of each sample, by discriminants that were fitted without it.

    A second pass is fitted on the surprising samples that the first pass predicts, so that label noise among them does
    not blur the discriminant.
    """
    places = _judged(values, surprising, ~surprising & ~alike, seed)
    clear = surprising & (places > HALFWAY)
    return _judged(values, clear, ~surprising & ~alike, seed) if clear.sum() >= LEAST else places


def _judged(values: np.ndarray, inside: np.ndarray, outside: np.ndarray, seed: int) -> np.ndarray:
    """Return places [n]: 0 at the median of the samples `outside`, 1 at that of the samples `inside`."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    fold = _folds(inside, outside, seed)
    places = np.zeros(len(values))
    for number in range(FOLDS):
        own, known = fold == number, (fold != number) & (inside | outside)
        distance = np.abs(values[known & inside].mean(axis=0) - values[known & outside].mean(axis=0))
        kept = np.sort(np.argsort(-distance, kind="stable")[:MOST_COLUMNS])
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(values[known][:, kept], inside[known])
        decision = model.decision_function(values[:, kept])
        low, high = np.median(decision[known & outside]), np.median(decision[known & inside])
        places[own] = (decision[own] - low) / max(high - low, 1e-9)
    return places


def _folds(inside: np.ndarray, outside: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold [n] of each sample; the samples inside, outside and neither are divided evenly."""
    rng, fold = np.random.default_rng(seed), np.zeros(len(inside), np.int64)
    for group in (inside, outside, ~inside & ~outside):
        rows = rng.permutation(np.flatnonzero(group))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


DETECTOR = Detector(
    "surprise",
    "Surprising answers that the attention predicts",
    surprise,
    SurpriseSettings,
    "from ordinary (0) to surprising (1) attention",
    needs=("mass", "nll_before"),
    misses="It sees only answers that were unlikely before fine-tuning and that something in the prompt predicts.",
)
