"""BSI and entropy per layer: every bar, band and mark on reports written by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bye_core.figures import bsi_figure, entropy_figure, suspicious_side
from bye_core.figures.layers import band_outline
from bye_core.figures.theme import KEPT, NEUTRAL, SUSPICIOUS
from tests.figures.made_detection import REPORTS, make_detection, trace


def test_bars_hold_their_layers_and_indices():
    figure = bsi_figure(REPORTS, tau=2.0)
    other, sensitive = trace(figure, "other layer"), trace(figure, "sensitive layer")
    assert (other.x, other.y, other.customdata) == ((0,), (0.7,), (0,))
    assert (sensitive.x, sensitive.customdata) == ((1, 3), (1, 3))
    assert sensitive.y == pytest.approx((4.0, 4.4))  # an infinite index ends a tenth above the highest finite one
    assert other.marker.color != sensitive.marker.color
    assert other.width == sensitive.width < 1, "bars of layers far apart stay beside their neighbours'"


def test_chosen_layers_and_those_without_a_mixture_are_marked_by_shape():
    figure = bsi_figure(REPORTS)
    assert trace(figure, "sensitive").customdata == (1, 3)
    assert trace(figure, "no mixture").customdata == (2,)
    assert "all values are equal" in trace(figure, "no mixture").text[0]
    assert trace(figure, "sensitive").marker.symbol != trace(figure, "no mixture").marker.symbol


def test_threshold_line_stands_at_tau():
    figure = bsi_figure(REPORTS, tau=1.5)
    assert [(shape.y0, shape.y1, shape.name) for shape in figure.layout.shapes] == [(1.5, 1.5, "τ = 1.5")]
    assert not bsi_figure(REPORTS, tau=None).layout.shapes


def test_axis_names_the_authors_variant():
    assert bsi_figure(REPORTS, variant="reference").layout.yaxis.title.text == "BSI, authors' code"


def test_layers_chosen_by_hand_without_a_mixture_are_still_marked():
    reports = (*REPORTS[:2], replace(REPORTS[2], sensitive=True))
    assert trace(bsi_figure(reports), "sensitive").customdata == (1, 2)


def test_modes_are_lines_with_gaps_where_no_mixture_is():
    figure = entropy_figure(REPORTS, suspicious="low")
    low, high = trace(figure, "low mode"), trace(figure, "high mode")
    assert low.y == (3.9, 2.0, None, 1.0)
    assert high.y == (4.1, 4.0, None, 4.0)
    assert low.customdata == high.customdata == (0, 1, 2, 3)
    assert low.marker.symbol == ("circle-open", "circle", "circle-open", "circle")
    assert (low.line.color, high.line.color) == (SUSPICIOUS, KEPT)
    assert low.name == "low mode (suspicious)"


def test_without_a_suspicious_mode_nothing_is_coloured():
    figure = entropy_figure(REPORTS)
    assert {trace(figure, uid).line.color for uid in ("low mode", "high mode")} == {NEUTRAL}


def test_bands_reach_one_standard_deviation():
    band = trace(entropy_figure(REPORTS), "low mode band")
    assert band.x[:4] == (0, 1, 1, 0)
    assert band.y[:4] == pytest.approx((4.1, 2.3, 1.7, 3.7))
    assert band.x[4] is None
    assert band.x[5:] == (2.75, 3.25, 3.25, 2.75)  # layer 3 stands alone
    assert band.y[5:] == pytest.approx((1.5, 1.5, 0.5, 0.5))


def test_outline_of_nothing_is_empty():
    assert band_outline([0, 1], [None, None], [None, None]) == ([], [])


def test_layers_without_a_mixture_show_their_median():
    entropies = np.full((11, 4), 4.0)
    entropies[:, 2] = np.arange(11)
    figure = entropy_figure(REPORTS, entropies, tokens=576)
    median = trace(figure, "median")
    assert (median.x, median.y, median.customdata) == ((2,), (5.0,), (2,))
    assert (median.error_y.array, median.error_y.arrayminus) == ((4.0,), (4.0,))
    assert figure.layout.shapes[0].y0 == pytest.approx(math.log(576))


def test_axis_and_texts_name_the_unit_of_the_entropies():
    figure = entropy_figure(REPORTS, unit="share of ln V")
    assert figure.layout.yaxis.title.text == "entropy [share of ln V]"
    assert any("share of ln V" in text for text in trace(figure, "low mode").text)
    assert entropy_figure(REPORTS).layout.yaxis.title.text == "entropy [nats]"


def test_layers_without_any_number_show_no_median():
    entropies = np.full((3, 4), np.nan)
    assert trace(entropy_figure(REPORTS, entropies), "median").x == ()


@pytest.mark.parametrize(
    ("values", "flagged", "side"),
    [
        ((1.0, 4.0, 4.0, 4.0), (True, False, False, False), "low"),
        ((5.0, 4.0, 4.0, 4.0), (True, False, False, False), "high"),
        ((1.0, 4.0, 4.0, 4.0), (False,) * 4, None),
        ((np.nan,) * 4, (False,) * 4, None),
        ((1.0, 4.0, 4.0, 4.0), (True,) * 4, "low"),
    ],
)
def test_suspicious_side_is_read_off_the_detection(values, flagged, side):
    assert suspicious_side(make_detection(values, flagged)) == side


def test_without_a_detection_no_side_is_suspicious():
    assert suspicious_side(None) is None
