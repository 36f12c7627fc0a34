"""CleanSight without its clean calibration set: heads whose share of attention on the picture is off (METHOD, 3).

The published detector (2603.12989) works at test time: a distance to the statistics of clean samples, cut at their 99th
percentile. Label-free variant: median and MAD over the mixed set itself stand for the clean statistics, and the cut is
a robust z of the distance. Departure: of the keys after the picture, only the question's words are known apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bye_core.detect.result import nothing, result
from bye_core.detect.setting_checks import is_number, is_share, require
from bye_core.records import IMAGE, QUESTION, Detection, ScanTable

# Makes the median absolute deviation of a Gaussian its standard deviation.
MAD_SCALE = 1.4826
EPSILON = 1e-8


@dataclass(frozen=True)
class CleanSightSettings:
    """first, last  the layers used, as shares of the depth: layers 10 to 24 of 32 in the paper
    cut          robust z of the distance from which a sample is flagged: 3.5 (Iglewicz and Hoaglin 1993)
    """

    first: float = 10 / 32
    last: float = 24 / 32
    cut: float = 3.5

    def __post_init__(self) -> None:
        require(is_share(self.first), "first", self.first, "a share of the depth, from 0 to 1")
        holds = is_share(self.last) and self.first <= self.last
        require(holds, "last", self.last, "a share of the depth from that of the first layer to 1")
        require(is_number(self.cut) and self.cut > 0, "cut", self.cut, "a number above 0")


def cleansight(table: ScanTable, settings: CleanSightSettings) -> Detection:
    """Flag samples whose ratios S [N, L', H] = image / question attention lie far from the set's median.

    values [N]: the distance ||(S - median) / MAD|| as a robust z among the samples.
    """
    count, depth = table.mass.shape[:2]
    layers = np.arange(round(settings.first * depth), max(round(settings.last * depth), 1))
    mass = np.asarray(table.mass[:, layers], np.float64)
    ratios = mass[..., IMAGE] / (mass[..., QUESTION] + EPSILON)
    ratios = ratios.reshape(count, len(layers) * table.mass.shape[2])
    known = np.isfinite(ratios).all(axis=1)
    if known.sum() < 2:
        return nothing("cleansight", settings, table, ["There are fewer than two samples to compare."])
    deviations, spread = _robust(ratios, known)
    told = spread > 0
    if not told.any():
        return nothing("cleansight", settings, table, ["No head looks at the samples differently."])
    distance = np.linalg.norm(deviations[:, told] / (spread[told] + EPSILON), axis=1)
    off, width = _robust(distance[:, None], known)
    values = off[:, 0] / max(float(width[0]), EPSILON)
    flagged = known & (values > settings.cut)
    reasons = [
        f"{int(flagged.sum())} of {count} samples lie {settings.cut:g} robust standard deviations or more from the "
        f"set's median in their ratio of image to question attention, heads of layers {layers[0]} to {layers[-1]}."
    ]
    scores = np.where(known, expit(values - settings.cut), 0.0)
    heads = {int(layer): range(table.mass.shape[2]) for layer in layers}
    return result("cleansight", settings, table, flagged, scores, reasons, values, heads, settings.cut)


def _robust(columns: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N, C] -> deviations from the medians of the `known` samples [N, C], and their scaled MADs [C]."""
    deviations = columns - np.median(columns[known], axis=0)
    return deviations, MAD_SCALE * np.median(np.abs(deviations[known]), axis=0)
