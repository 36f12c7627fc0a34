"""The guard's numbers alone: it judges as the detection did, and refuses where that one saw nothing."""

import numpy as np
import pytest

from bye_core import detect
from bye_core.guard import NoMode, judge, variant
from bye_core.records import ScanTable


def table(poisoned=30, clean=170, seed=0):
    """Layers 0 and 2 collapse where a sample is poisoned, layer 1 tells nothing."""
    rng = np.random.default_rng(seed)
    entropies = rng.normal(4.3, 0.15, (poisoned + clean, 3))
    entropies[:poisoned, [0, 2]] = rng.normal(1.6, 0.3, (poisoned, 2))
    ids = tuple(map(str, range(poisoned + clean)))
    return ScanTable(ids, entropies, entropies - 0.01)


@pytest.mark.parametrize(
    "settings", [{}, {"cluster": "kmeans"}, {"cluster": "threshold", "threshold": 3.0}, {"cutoff": 2.5}]
)
def test_the_runs_own_samples_are_judged_as_the_detection_judged_them(settings):
    scanned = table()
    detection = detect.detect(scanned, "bye", **settings)
    readings = judge(detection, scanned.layer_entropy, scanned.layer_entropy.mean(axis=0))
    assert [one.triggered for one in readings] == detection.flagged.tolist()
    assert [one.score for one in readings] == pytest.approx(detection.scores.tolist(), abs=1e-9)
    assert [one.value for one in readings] == pytest.approx(detection.values.tolist())


def test_a_new_sample_is_held_against_both_modes():
    detection = detect.detect(table(), "bye")
    (low, high), (s1, s2) = detection.final.means, detection.final.stds
    collapsed, ordinary = judge(detection, np.array([[low, 9.0, low], [high, 0.0, high]]), np.full(3, 4.3))
    assert (collapsed.triggered, ordinary.triggered) == (True, False)
    assert collapsed.deviations == pytest.approx((0, (low - high) / s2))
    assert ordinary.deviations == pytest.approx(((high - low) / s1, 0))
    assert "layers 0, 2" in collapsed.reason
    assert "looks triggered" in collapsed.reason
    assert "ordinary" in ordinary.reason


def test_what_lies_above_both_modes_is_not_called_like_the_triggered():
    detection = detect.detect(table(), "bye")
    (odd,) = judge(detection, np.full((1, 3), 9.0), np.full(3, 4.3))
    assert odd.triggered, "the wider component wins far out, as in the detection"
    assert "above both modes" in odd.reason


def test_a_missing_layer_counts_as_the_runs_mean():
    detection = detect.detect(table(), "bye")
    (reading,) = judge(detection, np.array([[np.nan, np.nan, 1.6]]), np.array([4.0, 4.3, 4.0]))
    assert reading.value == pytest.approx(2.8)


def test_the_authors_variant_is_read_where_it_was_clustered():
    assert variant(detect.detect(table(), "bye", bsi="reference", tau=1.0)) == "reference"
    assert variant(detect.detect(table(), "bye")) == "paper"


def test_without_evidence_nothing_is_judged():
    clean = detect.detect(table(poisoned=0), "bye", tau=50.0)
    with pytest.raises(NoMode, match="found no evidence"):
        judge(clean, np.zeros((1, 3)), np.zeros(3))
