"""Our own detector: flags an answer that is out of place and whose attention differs from that of ordinary answers.

BYE flags samples with similar attention. But samples with the same kind of question or image have similar attention
too. Here two independent signals must agree.

1. The answer: few samples have it, and it is out of place. An answer is out of place if it answers kinds of question
that have no other answer in common, has words that no other answer has, or is unlikely to the model before fine-tuning.
2. The attention of single heads (entropy, peak and masses, in either direction), given the kind of question: it is
farther from the nearest other answer than the other answers are from each other. The spread of the other answers is the
null model.

No ground truth, clean data or knowledge of the trigger is used. Weaker evidence from attention is enough if the text
and the model before fine-tuning both call the answer out of place and the tuned model gives it at once. A planted
answer that is ordinary in every way cannot be detected.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from scipy.special import expit, logit

from bye_core.detect.answer_comparison import AnswerComparison, AutoSettings, compare_answers, spread_of
from bye_core.detect.auto_reasons import abstention_reasons, nearest_to_planted, planted_reasons, voting_heads
from bye_core.detect.detector import Detector
from bye_core.detect.result import by_layer, nothing, result
from bye_core.records import Detection, ScanTable

# Prior probability of poison from the answer alone: (samples with the planted answer, all other samples) (ours).
PRIOR, PRIOR_OTHER = 0.95, 0.001


def auto(table: ScanTable, settings: AutoSettings) -> Detection:
    """Flag the samples with a planted answer unless their attention is ordinary.

    scores [N]: posterior probability of poison, 0..1.
    values [N]: place of the attention between the nearest ordinary answer (0) and the planted answer (1); NaN for
    samples with other kinds of question.
    """
    if len(table.ids) < 2 or not table.answers:
        return nothing("auto", settings, table, ["There are no answers to compare."])
    _, comparisons, planted, candidates = compare_answers(table, settings)
    if not planted:
        reasons = abstention_reasons(comparisons, candidates, settings)
        if not comparisons:
            return nothing("auto", settings, table, reasons)
        posterior, places = _posterior(table, [nearest_to_planted(comparisons)])
        return nothing("auto", settings, table, reasons, 0.49 * posterior, places)  # scores stay below one half
    posterior, places = _posterior(table, planted)
    flagged = posterior > 0.5
    reasons = [reason for answer in planted for reason in planted_reasons(answer, len(candidates), table)]
    count = f"{int(flagged.sum()):,} of {len(flagged):,} samples"
    reasons.append(f"{count} have this answer and the attention of a planted answer; these are flagged.")
    heads = by_layer([head for answer in planted for head in voting_heads(answer, table)])
    return result("auto", settings, table, flagged, posterior, reasons, places, heads)


def _posterior(table: ScanTable, planted: Sequence[AnswerComparison]) -> tuple[np.ndarray, np.ndarray]:
    """Return (posterior [N], place [N]) of each sample.

    If there are several planted answers, the highest posterior counts.
    """
    count = len(table.ids)
    posterior, places = np.zeros(count), np.full(count, np.nan)
    for answer in planted:
        place = answer.places(table)
        member, known = answer.candidate.members, np.isfinite(place)
        inside, outside = (
            scipy.stats.norm(*spread_of(place[known & side])).logpdf(place) for side in (member, ~member)
        )
        log_ratio = np.where(known, inside - outside, 0.0)
        # Attention alone does not make a sample suspicious, but it can clear a sample with any answer.
        other = expit(logit(PRIOR_OTHER) + np.minimum(log_ratio, 0))
        own = np.where(member, expit(logit(PRIOR) + log_ratio), other)
        better = own > posterior
        places = np.where(known & (better | np.isnan(places)), place, places)
        posterior = np.where(better, own, posterior)
    return posterior, places


DETECTOR = Detector(
    "auto",
    "Auto: answers and attention",
    auto,
    AutoSettings,
    "from ordinary (0) to planted (1) attention",
    needs=("mass",),
    wants=("nll_before",),
    misses="It tests only answers that are out of place, so it misses a planted answer that is usual for its question.",
    # Ours: of random parts of the shipped run with 10% poison, it finds 19 of 20 with 100 samples and 15 with 80.
    fewest=100,
)
