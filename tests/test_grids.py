"""Which tokens of the V axis belong to which cell."""

import numpy as np

from bye_core.grids import on_grid, token_numbers
from bye_core.records import Grid

SHARES = np.arange(20.0).reshape(2, 10)  # L = 2 layers, V = 10 tokens


def test_cells_are_read_row_by_row():
    assert token_numbers(Grid(0, 2, 3, 1)).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert on_grid(SHARES, Grid(0, 2, 3, 1))[1].tolist() == [[11, 12, 13], [14, 15, 16]]


def test_tokens_at_the_ends_of_rows_are_left_out():
    grid = Grid(0, 2, 3, 1, row_stride=4)
    assert token_numbers(grid).tolist() == [[1, 2, 3], [5, 6, 7]]
    assert on_grid(SHARES, grid)[0].tolist() == [[1, 2, 3], [5, 6, 7]]
