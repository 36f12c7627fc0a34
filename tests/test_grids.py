"""Which tokens of the V axis belong to which cell, and which grids are shown as one."""

import numpy as np
import pytest

from bye_core.grids import cell_at, main_raster, on_grid, rasters, token_numbers
from bye_core.records import Grid

SHARES = np.arange(20.0).reshape(2, 10)  # L = 2 layers, V = 10 tokens


def test_cells_are_read_row_by_row():
    assert token_numbers(Grid(0, 2, 3, 1)).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert on_grid(SHARES, Grid(0, 2, 3, 1))[1].tolist() == [[11, 12, 13], [14, 15, 16]]


def test_tokens_at_the_ends_of_rows_are_left_out():
    grid = Grid(0, 2, 3, 1, row_stride=4)
    assert token_numbers(grid).tolist() == [[1, 2, 3], [5, 6, 7]]
    assert on_grid(SHARES, grid)[0].tolist() == [[1, 2, 3], [5, 6, 7]]


def tile(number, box, **options):
    return Grid(0, 1, 2, 2 * number, box, **options)


LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
OVERVIEW = Grid(0, 2, 2, 4, overview=True)


def test_tiles_side_by_side_are_one_raster():
    joined, overview = rasters([tile(0, LEFT), tile(1, RIGHT), OVERVIEW])
    assert joined.tokens.tolist() == [[0, 1, 2, 3]]
    assert (joined.image, joined.box, joined.overview) == (0, (0, 0, 1, 1), False)
    assert (overview.tokens.tolist(), overview.overview) == ([[4, 5], [6, 7]], True)
    assert cell_at(joined, 70, 5, 100, 10) == (0, 2)
    assert on_grid(SHARES, joined)[1].tolist() == [[10, 11, 12, 13]]


def test_rows_of_tiles_are_joined_in_the_order_of_their_places():
    boxes = [(x / 2, y / 2, (x + 1) / 2, (y + 1) / 2) for x in (0, 1) for y in (0, 1)]  # column after column
    (joined,) = rasters([tile(number, box) for number, box in enumerate(boxes)])
    assert joined.tokens.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]


def test_a_gap_of_unread_pixels_is_ignored():
    (joined,) = rasters([tile(0, (0.0, 0.0, 0.49, 0.98)), tile(1, (0.5, 0.0, 0.99, 0.98))])
    assert joined.box == (0.0, 0.0, 0.99, 0.98)


@pytest.mark.parametrize(
    "tiles",
    [
        [tile(0, LEFT), tile(1, (0.3, 0.0, 0.8, 1.0))],  # they overlap
        [tile(0, LEFT), tile(1, (0.8, 0.0, 1.0, 1.0))],  # a gap
        [tile(0, LEFT), tile(1, LEFT)],  # the same place
        [tile(0, LEFT), Grid(0, 2, 2, 2, RIGHT)],  # other cells
        [tile(0, LEFT), tile(1, (0.5, 0.5, 1.0, 1.5))],  # no rectangle
        [tile(0, LEFT), Grid(1, 1, 2, 2, RIGHT)],  # two images
    ],
)
def test_other_grids_stay_separate(tiles):
    assert [raster.box for raster in rasters(tiles)] == [grid.box for grid in tiles]


def test_a_single_map_shows_the_finest_view_of_the_first_image():
    assert main_raster([OVERVIEW, tile(0, LEFT), tile(1, RIGHT)]).columns == 4
    assert main_raster([OVERVIEW]).overview
    assert main_raster([]) is None
