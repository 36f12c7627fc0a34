"""Loss curve from progress facts, CP and ASR before and after."""

from __future__ import annotations

import pytest

from bye_core.figures import loss_figure, outcome_figure, outcome_rows
from bye_core.figures.loss import smoothed
from tests.figures.made_detection import trace

FACTS = [
    {"event": "begin", "step": 0, "steps": 40},
    {"event": "step", "step": 5, "steps": 40, "loss": 2.0, "rate": 2e-4},
    {"event": "step", "step": 10, "steps": 40, "loss": 1.0, "rate": 1e-4},
    {"event": "done", "step": 40, "steps": 40, "loss": 0.7},
]


def test_only_steps_are_drawn_and_the_axis_reaches_the_end():
    figure = loss_figure(FACTS)
    raw = trace(figure, "loss")
    assert (raw.x, raw.y) == ((5, 10), (2.0, 1.0))
    assert raw.customdata == ([2e-4, None], [1e-4, None])
    assert "learning rate" in raw.hovertemplate
    assert "epoch" not in raw.hovertemplate
    assert figure.layout.xaxis.range == (0, 40)
    assert len(trace(figure, "smoothed").y) == 2


def test_facts_without_events_and_with_epochs():
    raw = trace(loss_figure([{"step": 1, "loss": 0.5, "epoch": 0.1}]), "loss")
    assert (raw.x, raw.y, raw.mode) == ((1,), (0.5,), "lines+markers")
    assert "epoch" in raw.hovertemplate


@pytest.mark.parametrize("facts", [[], FACTS[:1]])
def test_before_the_first_loss_the_figure_says_so(facts):
    assert "No loss yet" in loss_figure(facts).layout.annotations[0].text


def test_smoothing_keeps_what_is_even_and_lies_between():
    assert smoothed([2.0] * 7) == [2.0] * 7
    assert all(0 < value < 1 for value in smoothed([0.0, 1.0] * 20))


def test_bars_before_and_after_in_per_cent():
    figure = outcome_figure({"cp": 0.981, "asr": 0.993}, {"cp": 0.979, "asr": None})
    assert trace(figure, "before cleaning").y == (98.1, 99.3)
    assert trace(figure, "after cleaning").y == (97.9, None)
    assert trace(figure, "after cleaning").text == ("97.9%", "not measured")


def test_the_same_as_rows():
    assert outcome_rows({"cp": 0.981, "asr": 0.993}, {"cp": 0.979}) == [
        {"measure": "CP (higher is better)", "before": "98.1%", "after": "97.9%", "change": "-0.2 points"},
        {"measure": "ASR (lower is better)", "before": "99.3%", "after": "not measured", "change": ""},
    ]
