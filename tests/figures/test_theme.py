"""The look: contrasts that the docstring promises, and JSON that Gradio's plot takes."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from bye_core.figures.theme import (
    ACCENT,
    DARK_PLATE,
    KEPT,
    LIGHT_TEXT,
    NEUTRAL,
    SUSPICIOUS,
    as_json,
    empty_figure,
    faded,
    layer_axis,
    make_figure,
    mark_value,
)

PAGES = ("#ffffff", "#0b0f19")


def luminance(color):
    channels = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("color", [SUSPICIOUS, KEPT, ACCENT, NEUTRAL])
def test_data_colours_keep_three_to_one_on_both_pages(color, page):
    assert contrast(color, page) >= 3


def test_hover_text_keeps_well_over_four_and_a_half_to_one():
    assert contrast(LIGHT_TEXT, DARK_PLATE) >= 7


def test_no_single_text_colour_reaches_the_bar_on_both_pages():
    white, dark = map(luminance, PAGES)
    assert ((white + 0.05) / (dark + 0.05)) ** 0.5 < 4.5
    assert min(contrast(NEUTRAL, page) for page in PAGES) >= 4


def test_figures_are_transparent_named_and_keep_their_zoom():
    figure = make_figure("bsi", [go.Bar(x=[0], y=[1])], "layer", "BSI")
    assert figure.layout.template.layout.paper_bgcolor == figure.layout.template.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.meta == {"figure": "bsi"}
    assert figure.layout.uirevision == "bsi"
    assert figure.layout.title.text is None  # Gradio adds 100 px above a title


def test_json_carries_plotlys_config():
    plain = json.loads(as_json(make_figure("bsi", [], "layer", "BSI")))
    lasso = json.loads(as_json(make_figure("scatter", [], "x", "y", dragmode="lasso")))
    assert set(plain) == {"data", "layout", "config"}
    assert plain["config"]["displayModeBar"] is False
    assert lasso["config"]["displayModeBar"] is True
    assert "lasso2d" in lasso["config"]["modeBarButtons"][0]
    assert not lasso["config"]["displaylogo"]


def test_empty_figure_says_why():
    figure = empty_figure("loss", "No loss yet.")
    assert [note.text for note in figure.layout.annotations] == ["No loss yet."]
    assert not figure.data


@pytest.mark.parametrize(("axis", "place"), [("x", "x0"), ("y", "y0")])
def test_marked_value_is_a_line_and_a_word(axis, place):
    figure = make_figure("bsi", [], "", "")
    mark_value(figure, 2.5, "tau", axis)
    assert figure.layout.shapes[0][place] == 2.5
    assert figure.layout.annotations[0].text == "tau"


@pytest.mark.parametrize(("count", "ticks"), [(4, [0, 1, 2, 3]), (32, list(range(0, 32, 4)))])
def test_layer_axis_names_whole_layers(count, ticks):
    assert layer_axis(count)["tickvals"] == ticks


def test_layer_axis_never_has_more_than_a_dozen_ticks():
    assert all(len(layer_axis(count)["tickvals"]) <= 12 for count in range(1, 200))


def test_faded():
    assert faded("#ff8000", 0.5) == "rgba(255, 128, 0, 0.5)"
