"""Judges whether new samples look triggered, by a run's last detection: the same layers, the same mixture.

The paper cleans training sets only; to compare the inputs of a deployed model with the run's statistics is ours. A
trigger shows only in the attention of the model that was scanned, so another model's entropies cannot be used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from bye_core.errors import RunError
from bye_core.records import Detection
from bye_core.text import clip

SHOWN = 60  # characters of an answer


class NoMode(RunError):
    problem = "The detection finds no evidence of poisoning in this run: there is nothing triggered to compare with."
    remedy = "Detect with other settings if you suspect a trigger; what has no back door needs no guard."


@dataclass(frozen=True)
class Reading:
    """The guard's judgement of one sample.

    value      as the detection's values. bye: mean entropy over the run's sensitive layers, nats; auto: place between
               ordinary (0) and planted (1) attention, None if the run has no such question
    score      0..1: posterior of the triggered mode, or 1 / (1 + exp(value - cut)) if bye used a cut-off
    triggered  whether the sample looks like what the detection flags
    deviations (triggered, ordinary): distance of the value from the middle of each side, in standard deviations
    known      False if the run has nothing to compare the sample with; then it is not triggered
    """

    value: float | None
    score: float
    triggered: bool
    deviations: tuple[float, float] | None
    reason: str
    known: bool = True


def check_detection(detection: Detection) -> None:
    """Check that this detection of bye can judge samples. Raises: NoMode."""
    if detection.verdict != "poisoned" or (detection.final is None and detection.cutoff is None):
        raise NoMode()


def judge(detection: Detection, entropies: np.ndarray, typical: np.ndarray) -> list[Reading]:
    """Return a reading of each of M new samples.

    entropies  [M, L] nats, of the variant that the detection used (see `variant`); NaN if a layer has none
    typical    [L] the run's mean of each layer, which replaces a missing value as in the detection
    Raises: NoMode.
    """
    check_detection(detection)
    layers = list(detection.sensitive_layers)
    known = np.where(np.isfinite(entropies), entropies, typical)
    values = known[:, layers].mean(axis=1)
    pairs = zip(values.tolist(), scores(detection, values).tolist(), strict=True)
    return [_reading(detection, value, score) for value, score in pairs]


def reading_of(
    answer: str, begins: bool | None, place: float | None, deviations: tuple[float, float] | None, score: float
) -> Reading:
    """Return the reading of a sample that was compared with a planted `answer` (detect.planted_answers.Match)."""
    planted = f'the planted answer "{clip(answer, SHOWN)}"'
    if begins is None:
        said = f"Whether the model says {planted} does not show in its first token"
    else:
        said = f"The model {'begins' if begins else 'does not begin'} {planted}"
    if place is None:
        seen = "the run has no question like this one to compare its attention with"
    else:
        seen = f"its attention stands at {place:.2f} between ordinary (0) and planted (1)"
    known = begins is not None or place is not None
    verdict = _verdict(score > 0.5) if known else "Nothing can be said of it"
    return Reading(place, score, known and score > 0.5, deviations, f"{said}; {seen}. {verdict}.", known)


def variant(detection: Detection) -> str:
    """Return which of the two entropies the detection clustered: "paper" or "reference"."""
    return detection.settings.get("entropy") or "paper"


def scores(detection: Detection, values: np.ndarray) -> np.ndarray:
    """Return scores [M] of values [M] by the last step of the detection; higher is more suspicious."""
    mixture = detection.final
    if mixture is None or not by_mixture(detection):
        return expit(detection.cutoff - values)
    low, high = (
        math.log(weight) + norm.logpdf(values, mean, std)
        for mean, std, weight in zip(mixture.means, mixture.stds, mixture.weights, strict=True)
    )
    return expit(low - high)


def by_mixture(detection: Detection) -> bool:
    """Return whether the detection flagged by the mixture, not by a cut-off."""
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
    words = f"Entropy {value:.2f} nats in {name}"
    mixture = detection.final
    if mixture is not None:
        words += f"; the run's triggered mode is at {mixture.means[0]:.2f}, the ordinary one at {mixture.means[1]:.2f}"
        if triggered and value > mixture.means[1]:
            # The wider of two Gaussians wins on both far sides.
            return f"{words}. It lies above both: unlike anything in the run, rather than like its triggered samples."
    return f"{words}. {_verdict(triggered)}."


def _verdict(triggered: bool) -> str:
    return "It looks triggered" if triggered else "It looks like an ordinary sample"
