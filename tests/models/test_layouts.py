"""Layouts of image tokens: which are possible, and which one the measured changes fit."""

import numpy as np
import pytest

from bye_core.grids import cell_box, token_numbers
from bye_core.models.families.layouts import WHOLE, Expansion, image_boxes, layouts
from bye_core.models.families.measured_layout import best_layout, spots

WIDE = (640, 320)


def expansion(*runs, size=WIDE, patches=None, seen=None):
    return Expansion(size, runs, patches, image_boxes(size, seen))


def change_of(grids, tokens, noise=0.0):
    """Return the changes [S, V] of tokens arranged in `grids`: each spot changes the tokens of its cells."""
    change = np.random.default_rng(0).uniform(0, noise, (len(spots()), tokens))
    for row, (x, y) in enumerate(spots()):
        for grid in grids:
            for position, token in np.ndenumerate(token_numbers(grid)):
                left, top, right, bottom = cell_box(grid, *position, 1, 1)
                change[row, token] += left <= x < right and top <= y < bottom
    return change


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (expansion(576), ("square", 576, 0, "stretched")),
        (expansion(577), ("square", 577, 1, "stretched")),
        (expansion(64, seen=(0.25, 0, 0.75, 1)), ("square", 64, 0, "as the processor resizes and crops")),
        (expansion(64), ("square", 64, 0, "padded around")),
        (expansion(98, patches=(14, 28)), ("patches", "stretched")),
        (expansion(*[10] * 5), ("rows", "stretched")),
        (expansion(72), ("cells", 72, 0, 0, 6, "stretched")),
        (expansion(74), ("cells", 74, 2, 0, 6, "stretched")),
        (expansion(80), ("cells", 80, 2, 1, 6, "stretched")),
        (expansion(48), ("tiles", 4, 2, 1, "last", "stretched")),
        (expansion(*[16] * 3), ("tiles", 4, 2, 1, "first", "stretched")),
        (expansion(64, size=(300, 300)), ("tiles", 4, 2, 2, "", "stretched")),
    ],
)
def test_the_layout_that_made_the_changes_is_found(one, rule):
    options = layouts(one)
    found = best_layout(options, change_of(options[rule], one.tokens, noise=0.3), one.size)
    assert found is not None
    assert options[found] == options[rule]


def test_tokens_without_an_order_have_no_layout():
    one = expansion(64)
    change = np.random.default_rng(1).uniform(0, 1, (len(spots()), 64))
    assert best_layout(layouts(one), change, one.size) is None
    assert best_layout(layouts(one), np.zeros((len(spots()), 64)), one.size) is None


def test_tiles_cover_the_image_and_their_overview_shows_all_of_it():
    grids = layouts(expansion(48))["tiles", 4, 2, 1, "last", "stretched"]
    assert [(grid.box, grid.start, grid.overview) for grid in grids] == [
        ((0.0, 0.0, 0.5, 1.0), 0, False),
        ((0.5, 0.0, 1.0, 1.0), 16, False),
        (WHOLE, 32, True),
    ]
