"""Histograms: bars that sum up to the samples, curves that sum up to them too, the cut-off where it belongs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from bye_core.detect import value_label
from bye_core.figures import final_histogram, layer_histogram
from bye_core.figures.histogram import bin_edges
from bye_core.figures.modes import expected_counts
from bye_core.records import Mixture
from tests.figures.made_detection import MIXTURE, REPORTS, make_detection, trace

ENTROPIES = np.concatenate([np.full(25, 2.0), np.full(75, 4.0)]) + np.linspace(-0.3, 0.3, 100)


def bars(figure):
    return {item.uid: item for item in figure.data if item.type == "bar"}


def test_bars_of_one_colour_without_a_split():
    figure = layer_histogram(ENTROPIES, REPORTS[1])
    assert list(bars(figure)) == ["samples"]
    assert sum(bars(figure)["samples"].y) == 100
    assert figure.layout.xaxis.title.text == "entropy of layer 1 [nats]"


def test_truth_splits_the_bars_only_where_it_is_passed():
    truth = np.arange(100) < 10
    split = bars(layer_histogram(ENTROPIES, REPORTS[1], flagged=np.arange(100) < 25, truth=truth))
    assert {name: sum(bar.y) for name, bar in split.items()} == {"poisoned": 10, "clean": 90}
    assert split["poisoned"].marker.pattern.shape != split["clean"].marker.pattern.shape
    assert split["poisoned"].marker.color != split["clean"].marker.color


def test_flagged_and_unflagged_add_up_and_missing_values_are_left_out():
    values = ENTROPIES.copy()
    values[:5] = np.nan
    split = bars(layer_histogram(values, REPORTS[1], flagged=np.arange(100) < 25))
    assert {name: sum(bar.y) for name, bar in split.items()} == {"flagged": 20, "unflagged": 75}


def test_bins_carry_their_edges():
    figure = layer_histogram(ENTROPIES, REPORTS[1])
    bar = bars(figure)["samples"]
    edges = bin_edges(ENTROPIES)
    assert [low for low, _ in bar.customdata] == edges[:-1].tolist()
    assert [high for _, high in bar.customdata] == edges[1:].tolist()


def test_curves_are_the_components_and_their_sum():
    figure = layer_histogram(ENTROPIES, REPORTS[1], "low")
    low, high, both = (trace(figure, uid) for uid in ("low mode", "high mode", "sum"))
    triples = [point for point in zip(low.y, high.y, both.y, strict=True) if None not in point]
    assert triples
    assert all(sum(point[:2]) == pytest.approx(point[2], abs=0.002) for point in triples)
    width = bars(figure)["samples"].width
    top = expected_counts(MIXTURE, np.array([2.0]), width, 100)[0, 0]
    assert max(filter(None, low.y)) == pytest.approx(top, rel=1e-3)


def test_expected_counts_are_the_probability_of_the_bin():
    found = expected_counts(MIXTURE, np.array([2.0, 4.0]), 0.5, 1000)
    expected = 250 * (norm.cdf([2.25, 4.25], 2, 0.3) - norm.cdf([1.75, 3.75], 2, 0.3))
    np.testing.assert_allclose(found[0], expected)


def test_expected_counts_over_all_bins_sum_up_to_the_samples():
    centres = np.arange(-10, 20, 0.1)
    assert expected_counts(MIXTURE, centres, 0.1, 400).sum() == pytest.approx(400)


def test_a_component_narrower_than_a_bin_is_as_high_as_its_bar():
    narrow = Mixture((2.0, 4.0), (1e-6, 0.4), (0.25, 0.75))
    assert expected_counts(narrow, np.array([2.0]), 0.1, 100)[0, 0] == pytest.approx(25)


def test_final_values_with_cut_off_and_mixture():
    figure = final_histogram(make_detection())
    assert {name: sum(bar.y) for name, bar in bars(figure).items()} == {"flagged": 1, "unflagged": 3}
    assert [shape.x0 for shape in figure.layout.shapes] == [3.0]
    assert figure.layout.annotations[0].text == "cut-off 3.000"
    assert trace(figure, "low mode").line.color == bars(figure)["flagged"].marker.color


@pytest.mark.parametrize(
    ("method", "title"),
    [
        ("bye", "mean entropy of the sensitive layers [nats]"),
        ("auto", "from ordinary (0) to planted (1) attention"),
        ("of another version", "value clustered by of another version"),
    ],
)
def test_the_axis_names_what_the_method_clustered(method, title):
    figure = final_histogram(replace(make_detection(), method=method), value_label=value_label(method))
    assert figure.layout.xaxis.title.text == title


def test_final_values_split_by_truth():
    figure = final_histogram(make_detection(), truth=np.array([True, True, False, False]))
    assert {name: sum(bar.y) for name, bar in bars(figure).items()} == {"poisoned": 2, "clean": 2}


def test_without_evidence_the_figure_says_so():
    figure = final_histogram(make_detection((np.nan,) * 4, (False,) * 4, final=None, cutoff=None))
    assert not figure.data
    assert "has a value" in figure.layout.annotations[0].text
    assert "tau" not in figure.layout.annotations[0].text, "this method has no tau"
    bye = replace(make_detection((np.nan,) * 4, (False,) * 4, final=None, cutoff=None), settings={"tau": 2.0})
    assert "Lower tau" in final_histogram(bye).layout.annotations[0].text


def test_a_layer_without_numbers_says_so():
    figure = layer_histogram(np.full(3, np.nan), REPORTS[2])
    assert figure.layout.annotations[0].text == "Layer 2 has no entropy: all values are equal."


def test_log_counts_are_laid_over_each_other():
    figure = final_histogram(make_detection(), log=True)
    assert (figure.layout.yaxis.type, figure.layout.barmode) == ("log", "overlay")
    assert final_histogram(make_detection()).layout.barmode == "stack"


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(0, 7)))
def test_every_value_falls_into_a_bin(values):
    edges = bin_edges(values)
    assert 20 <= len(edges) - 1 <= 60
    assert np.histogram(values, edges)[0].sum() == len(values)
