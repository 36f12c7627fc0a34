"""Reports, detections and tables written by hand, small enough to check every drawn number."""

from __future__ import annotations

import math

import numpy as np

from bye_core.records import Detection, LayerReport, Mixture, ScanTable

MIXTURE = Mixture((2.0, 4.0), (0.3, 0.4), (0.25, 0.75))

REPORTS = (
    LayerReport(0, Mixture((3.9, 4.1), (0.2, 0.2), (0.5, 0.5)), 0.7, 0.5, False),
    LayerReport(1, MIXTURE, 4.0, 9.0, True),
    LayerReport(2, None, math.nan, math.nan, False, "all values are equal"),
    LayerReport(3, Mixture((1.0, 4.0), (0.5, 0.0), (0.5, 0.5)), math.inf, 9.0, True),
)

IDS = ("a", "b", "c", "d")


def make_detection(values=(2.0, 4.0, 4.1, 4.2), flagged=(True, False, False, False), **changes) -> Detection:
    facts = {
        "method": "bye",
        "settings": {"entropy": "paper"},
        "verdict": "poisoned",
        "ids": IDS,
        "scores": np.array([0.9, 0.1, 0.2, 0.3]),
        "flagged": np.array(flagged),
        "values": np.array(values, float),
        "layers": REPORTS,
        "reasons": (),
        "final": MIXTURE,
        "cutoff": 3.0,
    }
    return Detection(**facts | changes)


def make_scan() -> ScanTable:
    """Four samples, four layers, two heads; attention on the image is n / 10 + l / 100 in every head."""
    samples, layers = np.arange(4), np.arange(4)
    entropies = 1.0 + samples[:, None] + layers / 10
    mass = np.zeros((4, 4, 2, 3))
    mass[..., 1] = (samples[:, None] / 10 + layers / 100)[:, :, None]
    return ScanTable(IDS, entropies, entropies + 0.5, mass=mass)


def trace(figure, uid):
    """The one trace with this stable name."""
    found = [item for item in figure.data if item.uid == uid]
    assert len(found) == 1, [item.uid for item in figure.data]
    return found[0]
