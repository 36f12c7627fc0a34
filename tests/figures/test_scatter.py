"""The score plot: which sample is where, in which colour and shape, and that its id travels along."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect import value_label
from bye_core.figures import Points, as_json, scatter_figure, score_points
from bye_core.figures.scatter import WEBGL_FROM
from bye_core.figures.theme import KEPT, SUSPICIOUS
from bye_core.records import Decision
from tests.figures.made_detection import IDS, make_detection, make_scan


def drawn(figure):
    return {item.uid: item for item in figure.data}


def test_clustered_value_against_attention_on_the_image():
    detection = make_detection()
    points = score_points(make_scan(), detection, value_label=value_label(detection.method))
    assert points.ids == IDS
    assert points.x.tolist() == [2.0, 4.0, 4.1, 4.2]
    np.testing.assert_allclose(points.y, np.arange(4) / 10 + 0.02)  # mean of the sensitive layers 1 and 3
    assert points.flagged.tolist() == [True, False, False, False]
    assert points.cutoff == 3.0
    assert points.x_title == "mean entropy of the sensitive layers [nats]"


def test_a_layer_by_hand():
    points = score_points(make_scan(), make_detection(), layer=2)
    np.testing.assert_allclose(points.x, np.arange(4) + 1.2)
    np.testing.assert_allclose(points.y, np.arange(4) / 10 + 0.02)
    assert points.cutoff is None
    assert points.x_title == "entropy of layer 2 [nats]"


def test_the_authors_entropy_is_shown_where_it_was_used():
    detection = make_detection(settings={"entropy": "reference"})
    np.testing.assert_allclose(score_points(make_scan(), detection, layer=0).x, np.arange(4) + 1.5)


@pytest.mark.parametrize("detection", [None, make_detection((np.nan,) * 4, (False,) * 4, cutoff=None, layers=())])
def test_without_evidence_the_mean_of_all_layers(detection):
    points = score_points(make_scan(), detection)
    np.testing.assert_allclose(points.x, np.arange(4) + 1.15)
    np.testing.assert_allclose(points.y, np.arange(4) / 10 + 0.015)
    assert points.x_title == "mean entropy of all layers [nats]"


def test_score_files_have_no_masses_but_scores():
    points = score_points(replace(make_scan(), mass=None), make_detection())
    assert points.y.tolist() == [0.9, 0.1, 0.2, 0.3]
    assert points.y_title == "score"


def test_samples_scanned_after_the_detection_wait_for_the_next_one():
    detection = make_detection()
    older = replace(
        detection,
        ids=("d", "b"),
        flagged=np.array([True, False]),
        values=np.array([1.0, 2.0]),
        scores=np.array([1.0, 0.0]),
    )
    points = score_points(make_scan(), older)
    assert points.ids == ("b", "d")
    assert points.x.tolist() == [2.0, 1.0]
    assert points.flagged.tolist() == [False, True]
    np.testing.assert_allclose(points.y, [0.12, 0.32])


def test_colour_says_flagged_and_shape_says_decision():
    decisions = {"a": Decision("a", "reject"), "b": Decision("b", "reject"), "c": Decision("c", "none")}
    figure = scatter_figure(score_points(make_scan(), make_detection()), decisions)
    found = drawn(figure)
    assert {uid: item.customdata for uid, item in found.items()} == {
        "flagged, rejected": ("a",),
        "unflagged, rejected": ("b",),
        "unflagged": ("c", "d"),
    }
    assert found["flagged, rejected"].marker.color == SUSPICIOUS
    assert found["unflagged, rejected"].marker.color == found["unflagged"].marker.color == KEPT
    assert len({item.marker.symbol for item in figure.data}) == 3
    assert [item.name for item in figure.data if item.showlegend] == ["unflagged", "rejected"]
    assert figure.layout.dragmode == "lasso"


def test_points_and_ids_stay_together():
    points = score_points(make_scan(), make_detection())
    places = {
        id: (float(x), float(y))
        for item in scatter_figure(points).data
        for id, x, y in zip(item.customdata, item.x, item.y, strict=True)
    }
    assert places == {id: pytest.approx((points.x[n], points.y[n]), abs=1e-4) for n, id in enumerate(IDS)}


def test_samples_without_a_place_are_left_out():
    points = Points(("a", "b"), np.array([1.0, np.nan]), np.array([0.5, 0.5]), np.zeros(2, bool), "x", "y")
    assert [item.customdata for item in scatter_figure(points).data] == [("a",)]


def test_no_point_at_all_says_what_to_do():
    points = Points((), np.empty(0), np.empty(0), np.zeros(0, bool), "x", "y")
    assert "Start a scan" in scatter_figure(points).layout.annotations[0].text


def test_many_points_go_to_webgl_and_travel_light():
    count = 5 * WEBGL_FROM
    rng = np.random.default_rng(0)
    ids = tuple(f"s{n:05d}" for n in range(count))
    figure = scatter_figure(Points(ids, rng.normal(size=count), rng.random(count), rng.random(count) < 0.1, "x", "y"))
    assert {item.type for item in figure.data} == {"scattergl"}
    assert sum(len(item.customdata) for item in figure.data) == count
    text = as_json(figure)
    assert len(text) < 500_000
    assert "bdata" in json.loads(text)["data"][0]["x"]
