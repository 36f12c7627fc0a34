"""Attention over the picture: the mapping through crop and padding, and the payload that the canvas reads."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bye_core.figures import cell_at, cell_box, overlay_payload
from bye_core.records import AttentionRows, Grid

WHOLE = Grid(0, 2, 4, 0)
CROPPED = Grid(0, 12, 12, 0, (0.25, 0.0, 0.75, 1.0))  # the middle square of a picture twice as wide as tall
PADDED = Grid(0, 12, 12, 0, (0.0, -0.5, 1.0, 1.5))  # the same picture, padded to a square

edges = st.floats(-2, 0.9).flatmap(lambda start: st.floats(start + 0.1, 3).map(lambda stop: (start, stop)))
sides = st.integers(1, 40)
pixels = st.integers(1, 5000)


@st.composite
def grids(draw):
    (left, right), (top, bottom) = draw(edges), draw(edges)
    return Grid(0, draw(sides), draw(sides), 0, (left, top, right, bottom))


def test_whole_picture():
    assert cell_box(WHOLE, 1, 3, 80, 60) == (60, 30, 80, 60)
    assert cell_at(WHOLE, 60, 30, 80, 60) == (1, 3)
    assert cell_at(WHOLE, 59.9, 29.9, 80, 60) == (0, 2)


def test_crop_leaves_the_margins_free():
    assert cell_box(CROPPED, 0, 0, 480, 240) == (120, 0, 140, 20)
    assert cell_box(CROPPED, 11, 11, 480, 240) == pytest.approx((340, 220, 360, 240))
    assert cell_at(CROPPED, 119, 10, 480, 240) is None
    assert cell_at(CROPPED, 121, 10, 480, 240) == (0, 0)
    assert cell_at(CROPPED, 361, 10, 480, 240) is None


def test_padding_lies_outside_the_picture():
    assert cell_box(PADDED, 0, 0, 480, 240) == pytest.approx((0, -120, 40, -80))
    assert cell_at(PADDED, 1, 1, 480, 240) == (3, 0)
    assert cell_at(PADDED, 479, 239, 480, 240) == (8, 11)


@pytest.mark.parametrize(("x", "y"), [(-0.1, 5), (80, 5), (5, -0.1), (5, 60)])
def test_nothing_lies_beyond_the_grid(x, y):
    assert cell_at(WHOLE, x, y, 80, 60) is None


@given(grids(), pixels, pixels, st.data())
def test_the_middle_of_a_cell_is_in_that_cell(grid, width, height, data):
    row, column = data.draw(st.integers(0, grid.rows - 1)), data.draw(st.integers(0, grid.columns - 1))
    left, top, right, bottom = cell_box(grid, row, column, width, height)
    assert left < right
    assert top < bottom
    assert cell_at(grid, (left + right) / 2, (top + bottom) / 2, width, height) == (row, column)


@given(grids(), pixels, pixels, st.floats(0, 1), st.floats(0, 1))
def test_a_pixel_lies_in_the_box_of_its_cell(grid, width, height, across, down):
    x, y = across * width, down * height
    cell = cell_at(grid, x, y, width, height)
    assume(cell is not None)
    left, top, right, bottom = cell_box(grid, *cell, width, height)
    slack = 1e-6 * max(width, height)
    assert left - slack <= x <= right + slack
    assert top - slack <= y <= bottom + slack


@given(grids(), pixels, pixels)
def test_cells_tile_the_box_without_gaps(grid, width, height):
    boxes = [cell_box(grid, 0, column, width, height) for column in range(grid.columns)]
    assert all(one[2] == pytest.approx(other[0], abs=1e-6) for one, other in pairwise(boxes))
    assert boxes[0][0] == pytest.approx(grid.box[0] * width, abs=1e-9)
    assert boxes[-1][2] == pytest.approx(grid.box[2] * width, abs=1e-9)


def made_rows(rows, grids):
    rows = np.array(rows)
    nothing = np.zeros((len(rows), 1))
    return AttentionRows("s1", nothing, nothing, nothing[..., None], nothing, nothing, rows, grids, 0, "", 1.0)


def test_payload_by_grid_and_layer():
    first, second = Grid(0, 1, 2, 0, (0.25, 0, 0.75, 1)), Grid(1, 2, 1, 2)
    payload = overlay_payload(made_rows([[0.1, 0.3, 0.0, 0.1], [0.2, 0.0, 0.2, 0.4]], (first, second)))
    assert (payload["id"], payload["layers"], payload["unit"]) == ("s1", 2, 1e-6)
    one, two = payload["grids"]
    assert (one["image"], one["rows"], one["columns"], one["box"]) == (0, 1, 2, [0.25, 0, 0.75, 1])
    assert one["values"] == [[200_000, 600_000], [250_000, 0]]
    assert two["values"] == [[0, 200_000], [250_000, 500_000]]
    assert one["peak"] == [{"row": 0, "column": 1, "share": 0.6}, {"row": 0, "column": 0, "share": 0.25}]
    assert two["peak"][1] == {"row": 1, "column": 0, "share": 0.5}
    assert one["mass"] == [0.4, 0.2]
    assert two["mass"] == [0.1, 0.6]


def test_without_a_grid_there_is_a_strip_and_the_reason():
    payload = overlay_payload(made_rows([[0.1, 0.3, 0.0, 0.1], [0.2, 0.0, 0.2, 0.4]], ()))
    (strip,) = payload["grids"]
    assert (strip["image"], strip["rows"], strip["columns"]) == (-1, 1, 4)
    assert strip["peak"][0] == {"row": 0, "column": 1, "share": 0.6}
    assert payload["mean"][0]["mass"] == pytest.approx(0.65)
    assert payload["note"].startswith("There is no map")
    assert "note" not in overlay_payload(made_rows([[0.1, 0.3]], (Grid(0, 1, 2, 0),)))


def test_mean_over_the_layers():
    payload = overlay_payload(made_rows([[0.1, 0.3], [0.2, 0.2]], (Grid(0, 1, 2, 0),)))
    assert payload["mean"] == [
        {"values": [375_000, 625_000], "peak": {"row": 0, "column": 1, "share": 0.625}, "mass": 0.4}
    ]


def test_undefined_layers_are_null_and_do_not_pull_the_mean():
    payload = overlay_payload(made_rows([[np.nan, np.nan], [0.0, 0.0], [0.1, 0.3]], (Grid(0, 1, 2, 0),)))
    grid = payload["grids"][0]
    assert grid["values"] == [None, None, [250_000, 750_000]]
    assert grid["peak"][:2] == grid["mass"][:2] == [None, None]
    assert payload["mean"][0]["values"] == [250_000, 750_000]
    json.dumps(payload, allow_nan=False)


def test_no_defined_layer_at_all():
    payload = overlay_payload(made_rows([[np.nan, np.nan]], (Grid(0, 1, 2, 0),)))
    assert payload["mean"] == [{"values": None, "peak": None, "mass": None}]


def test_half_precision_rows_come_out_exact_to_a_hundredth_of_a_per_cent():
    rows = np.random.default_rng(0).random((3, 576)).astype(np.float16)
    values = np.array(overlay_payload(made_rows(rows, (Grid(0, 24, 24, 0),)))["grids"][0]["values"])
    np.testing.assert_allclose(values.sum(axis=1) * 1e-6, 1, atol=576 * 0.5e-6)
