"""The map of samples: groups, colours, and which samples are drawn if there are too many."""

import re

import numpy as np

from bye_core.figures import Group, drawn_rows, map_figure
from bye_core.figures.theme import KEPT, SUSPICIOUS

XY = np.arange(12, dtype=float).reshape(6, 2)
IDS = tuple("abcdef")


def test_each_group_is_one_trace_whose_points_name_their_samples():
    groups = [Group("kept ones", np.array([0, 1]), "kept"), Group("flagged", np.array([4]), "flagged")]
    figure = map_figure(XY, IDS, groups, ("x", "y"), np.array([2, 3]))
    names = {trace.uid: trace for trace in figure.data}
    assert names["kept ones"].marker.color == KEPT
    assert names["flagged"].marker.color == SUSPICIOUS
    assert list(names["flagged"].customdata) == ["e"]
    assert names["flagged"].x[0] == 8
    assert names["left out by the filters"].customdata is None, "a lasso does not select it"
    assert figure.layout.dragmode == "lasso"
    colors = [t.marker.color for t in map_figure(XY, IDS, [Group("a", [0]), Group("b", [1])], ("", "")).data]
    assert len(set(colors)) == 2


def test_names_from_the_data_do_not_become_part_of_css_selectors():
    groups = [Group('Backdoor "Attack"!', np.array([0])), Group("#1.5 > x", np.array([1])), Group("kept", [2], "kept")]
    uids = [trace.uid for trace in map_figure(XY, IDS, groups, ("x", "y")).data]
    assert len(set(uids)) == 3
    assert all(re.fullmatch(r"[a-z][a-z0-9 -]*", uid) for uid in uids)


def test_without_samples_the_figure_says_what_to_do():
    figure = map_figure(XY, IDS, [Group("kept", np.array([], int))], ("x", "y"))
    assert "Reset" in figure.layout.annotations[0].text


def test_too_many_samples_are_thinned_and_flagged_ones_come_first():
    wanted, first = np.ones(1000, bool), np.zeros(1000, bool)
    first[::100] = True
    rows = drawn_rows(wanted, first, most=100)
    assert len(rows) == 100
    assert set(np.flatnonzero(first)) <= set(rows.tolist())
    assert np.array_equal(rows, drawn_rows(wanted, first, most=100)), "the same part each time"
    assert drawn_rows(wanted, wanted, most=100).size == 100, "all flagged"
    many = drawn_rows(wanted, np.arange(1000) < 900, most=100)
    assert (many < 900).sum() == 50, "flagged samples do not push out all others"
    assert drawn_rows(wanted, first, most=1000).size == 1000
