"""Judges whether new samples look triggered, with the layers and the mixture of a run's last detection.

The paper cleans only training sets. The comparison of a deployed model's inputs with the statistics of a run is ours. A
trigger shows only in the attention of the model that was scanned, so the entropies of another model cannot be used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from bye_core.errors import RunError
from bye_core.records import NOT_TESTED, POISONED, UNITS_OF_VALUES, Detection
from bye_core.text import clip

SHOWN = 60  # largest number of characters of a quoted answer


class NoMode(RunError):
    problem = (
        "The detection found no evidence of poisoning in this run, so there are no triggered samples to compare with."
    )
    remedy = "Run detection with other settings or another method if you suspect a trigger."


class NoPattern(RunError):
    problem = (
        "Only the causal check flagged samples in this run; without clear evidence in the attention, there is nothing "
        "to compare new samples with."
    )
    remedy = "Clean the data set with these samples rejected, and fine-tune again, instead of guarding this model."


class NotTested(RunError):
    problem = "The data set of this run was not tested, so nobody knows whether the model has a back door. {reason}"
    remedy = "{remedy}"


@dataclass(frozen=True)
class Reading:
    """The guard's judgement of one sample.

    value       comparable with the values of the detection. bye: mean entropy over the run's sensitive layers, in
                the unit of the detection. auto: position between ordinary (0) and planted (1) attention; None if the
                run has no question of this kind
    score       0..1: posterior of the triggered mode, or 1 / (1 + exp(value - cut)) if bye used a cut-off
    triggered   whether the sample resembles the flagged samples of the detection
    deviations  (triggered, ordinary): distance of the value from the mean of each mode, in standard deviations
    known       False if the run has no samples to compare with; then the sample does not count as triggered
    """

    value: float | None
    score: float
    triggered: bool
    deviations: tuple[float, float] | None
    reason: str
    known: bool = True


def check_detection(detection: Detection) -> None:
    """Check that the guard can use this detection.

    Raises: NotTested if the detection could not test the data set; NoMode if it found no evidence of poisoning.
    """
    if detection.verdict == NOT_TESTED:
        raise NotTested(reason=detection.obstacles[0].reason, remedy=detection.obstacles[0].remedy)
    if detection.verdict != POISONED:
        raise NoMode()


def judge(detection: Detection, entropies: np.ndarray, typical: np.ndarray) -> list[Reading]:
    """Return a Reading of each of M new samples.

    entropies  [M, L] entropies in the unit and the variant that the detection used (see `variant`); NaN if a layer has
               none
    typical    [L] mean entropy of each layer in the run, which replaces missing values as in the detection
    Raises: NotTested or NoMode if the detection found no poisoning; NoMode if it has no entropies to compare with.
    """
    check_detection(detection)
    if detection.final is None and detection.cutoff is None:
        raise NoMode()
    layers = list(detection.sensitive_layers)
    known = np.where(np.isfinite(entropies), entropies, typical)
    values = known[:, layers].mean(axis=1)
    pairs = zip(values.tolist(), scores(detection, values).tolist(), strict=True)
    return [_reading(detection, value, score) for value, score in pairs]


def reading_of(
    answer: str, begins: bool | None, place: float | None, deviations: tuple[float, float] | None, score: float
) -> Reading:
    """Return the Reading of a sample that was compared with the planted answer `answer`, or with the predicted answers.

    The arguments are the fields of detect.planted_answers.Match.
    """
    planted = f'the planted answer "{clip(answer, SHOWN)}"'
    if not answer:
        said = "The flagged answers of the run have no text in common, so only the attention counts"
    elif begins is None:
        said = f"The first token does not show whether the model answers with {planted}"
    else:
        said = f"The model {'begins' if begins else 'does not begin'} {planted}"
    if place is None:
        seen = "the run has no similar question to compare its attention with"
    else:
        seen = f"its attention is at {place:.2f} on the scale from ordinary (0) to planted (1)"
    known = begins is not None or place is not None
    verdict = _verdict(score > 0.5) if known else "No judgement is possible"
    return Reading(place, score, known and score > 0.5, deviations, f"{said}; {seen}. {verdict}.", known)


def variant(detection: Detection) -> str:
    """Return which variant of the entropy the detection clustered: "paper" or "reference"."""
    return detection.settings.get("entropy") or "paper"


def scores(detection: Detection, values: np.ndarray) -> np.ndarray:
    """Return scores [M] of values [M], computed as in the last step of the detection. Higher is more suspicious."""
    mixture = detection.final
    if mixture is None or not by_mixture(detection):
        return scipy.special.expit(detection.cutoff - values)
    low, high = (
        math.log(weight) + scipy.stats.norm.logpdf(values, mean, std)
        for mean, std, weight in zip(mixture.means, mixture.stds, mixture.weights, strict=True)
    )
    return scipy.special.expit(low - high)


def by_mixture(detection: Detection) -> bool:
    """Return whether the detection flagged samples by its mixture and not by a cut-off."""
    return detection.settings.get("cluster") == "gmm" and detection.settings.get("cutoff") is None


def _reading(detection: Detection, value: float, score: float) -> Reading:
    triggered = score > 0.5
    mixture, deviations = detection.final, None
    if mixture is not None:
        low, high = ((value - mean) / std for mean, std in zip(mixture.means, mixture.stds, strict=True))
        deviations = (low, high)
    return Reading(value, score, triggered, deviations, _reason(detection, value, triggered))


def _reason(detection: Detection, value: float, triggered: bool) -> str:
    layers = ", ".join(map(str, detection.sensitive_layers))
    name = f"layer {layers}" if len(detection.sensitive_layers) == 1 else f"layers {layers}"
    words = f"Entropy {value:.2f} {UNITS_OF_VALUES[detection.entropy_unit]} in {name}"
    mixture = detection.final
    if mixture is not None:
        words += f"; the run's triggered mode is at {mixture.means[0]:.2f}, the ordinary one at {mixture.means[1]:.2f}"
        if triggered and value > mixture.means[1]:
            # Far from both means, the wider Gaussian always has the higher posterior, so the score is 1.
            return f"{words}. It is above both modes, so it resembles no samples of the run."
    return f"{words}. {_verdict(triggered)}."


def _verdict(triggered: bool) -> str:
    return "It looks triggered" if triggered else "It looks ordinary"
