"""Layers that hold no numbers in any sample, such as linear attention, change no result and break no figure."""

import dataclasses
import json

import numpy as np
import pytest

from bye_core.detect import DETECTORS, detect
from bye_core.detect.isolation import columns
from bye_core.figures import bsi_figure, entropy_figure, head_bsi, heads_figure
from bye_core.figures.scatter import scatter_figure, score_points
from bye_core.records import ScanTable
from tests.detect.made_tables import answered_table
from tests.detect.test_others import whole_table

MISSING = (0, 2, 3, 6)
STATISTICS = ("layer_entropy", "layer_entropy_reference", "entropy", "peak", "mass")


def with_missing_layers(table: ScanTable) -> ScanTable:
    layers = table.layer_entropy.shape[1] + len(MISSING)
    present = [layer for layer in range(layers) if layer not in MISSING]

    def spread(values):
        wide = np.full((len(values), layers, *values.shape[2:]), np.nan)
        wide[:, present] = values
        return wide

    return dataclasses.replace(table, **{name: spread(getattr(table, name)) for name in STATISTICS})


def planted_table():
    table = whole_table()
    table.layer_entropy[:10, 2] -= 2
    table.layer_entropy_reference[:10, 2] -= 2
    table.mass[:10, 3] = [0.05, 0.9, 0.05]
    return table


@pytest.mark.parametrize("method", DETECTORS)
def test_the_same_samples_are_flagged(method):
    table = planted_table()
    found, wanted = detect(with_missing_layers(table), method), detect(table, method)
    assert found.flagged.tolist() == wanted.flagged.tolist()
    assert np.isfinite(found.scores).all()
    assert len(found.layers) == table.layer_entropy.shape[1] + len(MISSING)


def test_a_planted_answer_is_found_all_the_same():
    table, poisoned = answered_table(shift=1.5)
    found = detect(with_missing_layers(table), "auto")
    assert found.flagged.tolist() == detect(table, "auto").flagged.tolist()
    assert found.flagged[poisoned].all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, 0.3])
def test_an_answer_is_not_planted_if_all_samples_have_the_same_attention(value):
    table, _ = answered_table(each=30, planted=6)
    same = {name: np.full_like(getattr(table, name), value) for name in STATISTICS}
    found = detect(dataclasses.replace(table, **same), "auto")
    assert not found.flagged.any()
    assert np.isfinite(found.scores).all()


def test_figures():
    table = with_missing_layers(planted_table())
    found = detect(table, "bye")
    assert [report.layer for report in found.layers if report.mixture is None] == list(MISSING)
    figures = [
        bsi_figure(found.layers), entropy_figure(found.layers, table.layer_entropy),
        heads_figure(head_bsi(table.entropy)), scatter_figure(score_points(table, found)),
        scatter_figure(score_points(table, None)),
    ]  # fmt: skip
    for figure in figures:
        json.loads(figure.to_json())
    assert len(figures[-1].data[0].x) == len(table.ids)


def test_a_layer_that_some_samples_lack_decides_nothing():
    """A sliding window hides the image from long prompts, whatever their answers are."""
    table, truth = answered_table(shift=2.0)
    some = np.random.default_rng(0).random(len(truth)) < 0.3
    for name in STATISTICS:
        getattr(table, name)[some, 0] = np.nan
    np.testing.assert_array_equal(detect(table, "auto").flagged, truth)
    features = columns(table, np.arange(len(truth)))
    assert np.isfinite(features).all()
    lacking = columns(table, np.flatnonzero(some))[:, :1]
    usual = table.entropy[~some, 0, 0]
    assert (np.abs(lacking - np.median(usual)) < 0.5 * usual.std()).all()
    clean, _ = answered_table(planted=0)
    for name in STATISTICS:
        getattr(clean, name)[::3, 0] = np.nan
    assert not detect(clean, "auto").flagged.any()
