"""Figures as static SVG: the same numbers at the right places."""

import re

import plotly.graph_objects as go
import pytest

from bye_core.figures import loss_figure, outcome_figure
from bye_core.reports.svg import BOTTOM, HEIGHT, TOP, nice_ticks, svg

FLOOR, CEILING = HEIGHT - BOTTOM, TOP


def bars(drawn):
    """(top, height) of each bar; the legend's squares have round corners."""
    found = re.findall(r"<rect x='[\d.]+' y='([\d.]+)' width='[\d.]+' height='([\d.]+)' fill", drawn)
    return [(float(top), float(height)) for top, height in found]


def test_ticks_are_round_numbers():
    assert nice_ticks(0, 1, 5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(0.7, 4.7, 5) == [1, 2, 3, 4]


def test_bars_have_the_height_of_their_share_and_whiskers_where_there_is_an_interval():
    before, after = {"cp": 0.5, "cp_interval": [0.4, 0.6], "asr": 1.0}, {"cp": 0.25, "asr": None}
    drawn = svg(outcome_figure(before, after), "CP & ASR")
    room = (FLOOR - CEILING) / 112
    assert [height for _, height in bars(drawn)] == pytest.approx([50 * room, 100 * room, 25 * room], abs=0.11)
    assert drawn.count("class='whisker'") == 1
    assert "aria-label='CP &amp; ASR'" in drawn
    assert ">not measured<" in drawn


def test_stacked_bars_stand_on_each_other():
    figure = go.Figure([go.Bar(name=name, x=[1, 2], y=[1, 3], marker_color="#123456") for name in "ab"])
    figure.update_layout(barmode="stack")
    drawn = bars(svg(figure, "stack"))
    (low, height), (high, _) = drawn[0], drawn[2]
    assert high + height == pytest.approx(low, abs=0.11)


def test_a_line_breaks_where_a_value_is_missing():
    figure = go.Figure(go.Scatter(x=[0, 1, 2, 3, 4], y=[0, 1, None, 1, 0], mode="lines", line_color="#123456"))
    assert svg(figure, "line").count("<polyline") == 2


def test_an_empty_figure_is_its_message():
    assert svg(loss_figure([]), "loss") == "<p class='note'>No loss yet. The first one comes after a few steps.</p>"


def test_names_are_escaped():
    figure = go.Figure(go.Bar(name="<script>", x=["<b>"], y=[1], marker_color="#123456"))
    drawn = svg(figure, "x")
    assert "<script>" not in drawn
    assert "<b>" not in drawn
