"""CleanSight (arXiv 2603.12989) without clean data: flags an unusual ratio of image attention to question attention.

The published detector works at test time: it computes the distance to the statistics of clean samples and cuts it at
the 99th percentile of the clean samples. In this variant, the median and the MAD of the mixed set replace the clean
statistics, and the cut-off is a robust z-score of the distance. Departure: among the tokens after the image, only the
words of the question are known separately.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from bye_core.detect.detector import Detector, layers_with_numbers, required
from bye_core.detect.result import nothing, result
from bye_core.detect.settings import check_settings, require, setting, share_setting
from bye_core.records import IMAGE, QUESTION, Detection, ScanTable

# Scales the median absolute deviation (MAD) of a Gaussian to its standard deviation.
MAD_SCALE = 1.4826
EPSILON = 1e-8


@dataclass(frozen=True)
class CleanSightSettings:
    """Settings of CleanSight.

    Sources: layers 10 to 24 of 32 from the paper; the cut-off from Iglewicz and Hoaglin 1993.
    """

    first: float = share_setting(10 / 32, "first layer, as a share of the number of layers", "First layer")
    last: float = share_setting(24 / 32, "last layer, as a share of the number of layers", "Last layer")
    cut: float = setting(
        3.5, "distance from which a sample is flagged, in robust standard deviations", "Cut-off", above=0
    )

    def __post_init__(self) -> None:
        check_settings(self)
        require(self.first <= self.last, "last", self.last, "a share from `first` to 1")


def cleansight(table: ScanTable, settings: CleanSightSettings) -> Detection:
    """Flag samples whose ratios S [N, L', H] = image attention / question attention are far from the median of the set.

    values [N]: the distance ||(S - median) / MAD||, as a robust z-score among the samples.
    """
    shares = required(table.mass)
    count, width = shares.shape[0], shares.shape[2]
    known_layers = layers_with_numbers(shares)
    depth = len(known_layers)
    layers = known_layers[round(settings.first * depth) : max(round(settings.last * depth), 1)]
    mass = np.asarray(shares[:, layers], np.float64)
    ratios = mass[..., IMAGE] / (mass[..., QUESTION] + EPSILON)
    ratios = ratios.reshape(count, len(layers) * width)
    # Layers without attention rows, and windows that rarely reach the image, say nothing about the other layers.
    ratios = ratios[:, np.isfinite(ratios).sum(axis=0) * 2 > count]
    known = np.asarray(np.isfinite(ratios).all(axis=1))
    if known.sum() < 2 or not ratios.shape[1]:
        return nothing("cleansight", settings, table, ["There are fewer than two samples to compare."])
    deviations, spread = _robust(ratios, known)
    varies = spread > 0
    if not varies.any():
        return nothing(
            "cleansight",
            settings,
            table,
            ["The ratio of image to question attention is the same for all samples in every head."],
        )
    distance = np.linalg.norm(deviations[:, varies] / (spread[varies] + EPSILON), axis=1)
    off, typical = _robust(distance[:, None], known)
    values = off[:, 0] / max(float(typical[0]), EPSILON)
    flagged = known & (values > settings.cut)
    reasons = [
        f"{int(flagged.sum()):,} of {count:,} samples lie {settings.cut:g} robust standard deviations or more from the "
        f"set's median in their ratio of image to question attention, heads of layers {layers[0]} to {layers[-1]}."
    ]
    scores = np.where(known, scipy.special.expit(values - settings.cut), 0.0)
    heads = {int(layer): range(width) for layer in layers}
    return result("cleansight", settings, table, flagged, scores, reasons, values, heads, settings.cut)


def _robust(columns: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (deviations of `columns` [N, C] from the medians of the known values, scaled MADs [C]).

    `known` [N, C] bool: which values enter the medians and MADs.
    """
    deviations = columns - np.median(columns[known], axis=0)
    return deviations, MAD_SCALE * np.median(np.abs(deviations[known]), axis=0)


DETECTOR = Detector(
    "cleansight",
    "CleanSight, label-free",
    cleansight,
    CleanSightSettings,
    "distance",
    "robust deviations",
    needs=("mass",),
    misses="It sees only triggers that draw attention from the question to the image.",
)
