"""Where samples look: cells through crop and padding, the spot around a peak, the telling layer, the common map."""

import numpy as np
import pytest

from bye_core.evidence import attention_map, choose_layer, common_raster, find_consensus, find_peak, peak_shares
from bye_core.evidence.attention_peak import on_image
from bye_core.records import AttentionRows, Grid

PADDED = (0.0, -0.5, 1.0, 1.5)  # a picture twice as wide as high, padded to a square
CROPPED = (0.25, 0.0, 0.75, 1.0)  # the middle of a wide picture


def rows_of(*layers, box=(0.0, 0.0, 1.0, 1.0), id="a", grids=None):
    """Maps [rows, columns] of every layer on one grid, as a sample's rows."""
    maps = np.array(layers, float)
    nothing = np.zeros((len(maps), 1))
    return AttentionRows(
        id=id, entropy=nothing, peak=nothing, mass=nothing, layer_entropy=nothing[:, 0],
        layer_entropy_reference=nothing[:, 0], rows=maps.reshape(len(maps), -1).astype(np.float16),
        grids=grids or (Grid(0, *maps.shape[1:], 0, box),), token=0, token_text="", probability=1.0,
    )  # fmt: skip


def bright(*cells, side=6, ground=0.01, value=1.0):
    found = np.full((side, side), ground)
    for row, column in cells:
        found[row, column] = value
    return found


def test_the_peak_cell_in_picture_coordinates():
    seen = find_peak(rows_of(bright((1, 4))), 0)
    assert (seen.image, seen.grid, seen.row, seen.column) == (0, 0, 1, 4)
    assert seen.cell == pytest.approx((4 / 6, 1 / 6, 5 / 6, 2 / 6))
    assert seen.share == pytest.approx(1 / (1 + 35 * 0.01), rel=1e-3)


@pytest.mark.parametrize(
    ("box", "cell"),
    [
        (PADDED, (4 / 6, -0.5 + 2 * 3 / 6, 5 / 6, -0.5 + 2 * 4 / 6)),
        (CROPPED, (0.25 + 2 / 6, 3 / 6, 0.25 + 2.5 / 6, 4 / 6)),
    ],
    ids=["padded", "cropped"],
)
def test_cells_lie_where_crop_and_padding_put_them(box, cell):
    assert find_peak(rows_of(bright((3, 4)), box=box), 0).cell == pytest.approx(cell)


def test_a_peak_on_padding_is_told_and_its_spot_stays_on_the_picture():
    seen = find_peak(rows_of(bright((0, 2)), box=PADDED), 0)
    assert seen.on_padding
    assert seen.spot[1] >= 0
    assert not find_peak(rows_of(bright((3, 2)), box=PADDED), 0).on_padding


def test_the_spot_takes_what_hangs_together_and_one_cell_around():
    spot = find_peak(rows_of(bright((4, 4), (4, 5), side=12)), 0).spot
    assert spot == pytest.approx((3 / 12, 3 / 12, 7 / 12, 6 / 12))
    apart = find_peak(rows_of(np.maximum(bright((4, 4), side=12), bright((9, 9), side=12, value=0.9))), 0).spot
    assert apart == pytest.approx((3 / 12, 3 / 12, 6 / 12, 6 / 12))


def test_a_spread_out_peak_gives_no_larger_spot_than_a_third_of_the_side():
    cells = np.ones((12, 12))
    cells[2, 9] = 1.1
    left, top, right, bottom = find_peak(rows_of(cells), 0).spot
    assert right - left == pytest.approx(4 / 12)
    assert bottom - top == pytest.approx(4 / 12)
    assert left <= 9 / 12 < right
    assert top <= 2 / 12 < bottom


def test_a_layer_that_sees_no_image_token_has_no_look():
    assert find_peak(rows_of(np.zeros((6, 6))), 0) is None
    assert np.isnan(peak_shares(rows_of(np.zeros((6, 6)))))[0]


def test_of_several_grids_the_one_with_the_peak():
    maps = np.full((1, 20), 0.01)
    maps[0, 4 + 7] = 1.0
    grids = (Grid(0, 2, 2, 0), Grid(1, 4, 4, 4))
    seen = find_peak(rows_of(maps, grids=grids), 0)
    assert (seen.image, seen.grid, seen.row, seen.column) == (1, 1, 1, 3)


def test_a_layer_in_which_each_flagged_sample_stares_is_told_from_one_in_which_all_do_at_times():
    rng = np.random.default_rng(0)
    everybody = rng.uniform(0.2, 1.0, 100) + np.repeat([0.2, 0.0], 50)
    flagged_alone = np.repeat([0.25, 0.05], 50)
    assert choose_layer(np.stack([everybody, flagged_alone], axis=1), np.arange(100) < 50).layer == 1


def test_the_layer_in_which_flagged_samples_stare():
    peaks = np.array([[0.1, 0.5, 0.9], [0.1, 0.6, 0.9], [0.1, 0.1, 0.9], [0.1, 0.1, 0.8]])
    flagged = np.array([True, True, False, False])
    chosen = choose_layer(peaks, flagged)
    assert (chosen.layer, chosen.flagged, chosen.others) == (1, pytest.approx(0.55), pytest.approx(0.1))
    assert "among 3 layers" in chosen.reason
    assert choose_layer(peaks, flagged, [0, 2]).layer == 2
    assert "the only sensitive layer" in choose_layer(peaks, flagged, [2]).reason


def test_layers_without_numbers_are_not_chosen():
    peaks = np.array([[np.nan, 0.2], [np.nan, 0.1]])
    assert choose_layer(peaks, np.array([True, False])).layer == 1
    alone = choose_layer(peaks, np.array([True, True]))
    assert "no other samples to compare with" in alone.reason


def test_a_map_spreads_cells_over_the_picture_and_leaves_padding_out():
    shares = np.full(4, 0.25)
    whole = on_image(shares, (Grid(0, 2, 2, 0),), 0, (4, 4))
    np.testing.assert_allclose(whole, 1 / 16)
    padded = on_image(shares, (Grid(0, 2, 2, 0, PADDED),), 0, (4, 4))
    assert padded.sum() == pytest.approx(0.5)
    cropped = on_image(shares, (Grid(0, 2, 2, 0, CROPPED),), 0, (2, 4))
    np.testing.assert_allclose(cropped, [[0, 0.25, 0.25, 0]] * 2)
    assert on_image(shares, (Grid(1, 2, 2, 0),), 0, (4, 4)).sum() == 0


def test_flagged_samples_are_held_against_others_with_their_question():
    flagged = [rows_of(bright((2, 2)), id=f"f{n}") for n in range(3)]
    others = [rows_of(bright((0, 0))), rows_of(bright((5, 5)))]
    kinds = ["count", "colour"]
    raster = common_raster(rows.grids for rows in flagged)
    maps = [("count", attention_map(rows, 0, raster)) for rows in flagged]
    usual = [(kind, attention_map(rows, 0, raster)) for kind, rows in zip(kinds, others, strict=True)]
    looks = [find_peak(rows, 0) for rows in flagged]
    found = find_consensus(maps, usual, looks)
    assert found.peak == (2, 2)
    assert found.agreement == 1.0
    assert found.excess[0, 0] < -0.5, "others with the same question look there"
    assert abs(found.excess[5, 5]) < 1e-3, "those with another question do not count"
    assert (found.samples, found.compared) == (3, 2)
    away = find_consensus(maps, usual, [*looks, find_peak(rows_of(bright((5, 0))), 0)])
    assert away.agreement == pytest.approx(0.75)


def test_the_common_middle_lies_between_the_cells_that_are_looked_at():
    pair = np.maximum(bright((2, 2)), bright((2, 3)))
    raster, flagged = (6, 6), [rows_of(bright((2, 2))), rows_of(pair), rows_of(bright((2, 3)))]
    found = find_consensus([("q", attention_map(rows, 0, raster)) for rows in flagged], [], [])
    across, down, *_ = found.centre
    assert (across, down) == pytest.approx((3 / 6, 2.5 / 6), abs=0.02)
    assert found.is_near(find_peak(flagged[0], 0))
    assert not found.is_near(find_peak(rows_of(bright((5, 5))), 0))


TILES = (Grid(0, 6, 3, 0, (0, 0, 0.5, 1), row_stride=4), Grid(0, 6, 3, 24, (0.5, 0, 1, 1), row_stride=4))


def test_a_spot_reaches_over_the_border_of_two_tiles():
    tokens = np.full((1, 48), 0.01)
    tokens[0, [2 * 4 + 2, 24 + 2 * 4]] = 1.0, 0.9  # row 2: the last cell of the left tile, the first of the right one
    seen = find_peak(rows_of(tokens, grids=TILES), 0)
    assert (seen.grid, seen.row, seen.column) == (0, 2, 2)
    assert seen.spot == pytest.approx((1 / 6, 1 / 6, 4 / 6, 4 / 6))


def test_a_token_that_ends_a_row_is_no_peak():
    tokens = np.full((1, 48), 0.01)
    tokens[0, [3, 5]] = 1.0, 0.5
    rows = rows_of(tokens, grids=TILES)
    assert peak_shares(rows)[0] == pytest.approx(0.5 / tokens.sum(), rel=1e-3)
    seen = find_peak(rows, 0)
    assert (seen.row, seen.column) == (1, 1)


def test_tiles_and_overview_of_one_place_are_added_in_the_common_map():
    tokens = np.zeros((1, 48 + 4))
    tokens[0, [0, 48]] = 0.5  # the upper left cell of the left tile, and the upper left quarter of the overview
    grids = (*TILES, Grid(0, 2, 2, 48, overview=True))
    assert common_raster([grids]) == (6, 6)
    found = attention_map(rows_of(tokens, grids=grids), 0, (2, 2))
    assert found == pytest.approx(np.array([[1.0, 0], [0, 0]]), abs=1e-3)
