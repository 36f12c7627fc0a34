"""Review shows the joined tiles of an image or, as a choice, the overview of the whole image."""

from dataclasses import replace

import numpy as np

from bye_core.figures import cell_box
from bye_core.grids import token_numbers
from bye_core.records import Grid
from bye_core.runs import Run, RunSettings
from tests.e2e.test_review_shows import WIDE, brightest, made_set, record
from tests.made_run import make_rows

# Two tiles side by side, whose rows end in a token without a cell, then an overview.
LEFT = Grid(0, 6, 6, 0, (0.0, 0.0, 0.5, 1.0), row_stride=7)
RIGHT = Grid(0, 6, 6, 42, (0.5, 0.0, 1.0, 1.0), row_stride=7)
OVERVIEW = Grid(0, 4, 8, 84, overview=True)
TOKENS = 84 + 32
PLAIN = Grid(0, 6, 6, 0)


def tiled_rows(id):
    """The attention: 50% on one cell of the right tile, 37.5% on one of the overview, 12.5% on a row's last token."""
    cells = np.zeros((4, TOKENS), np.float16)
    cells[:, token_numbers(RIGHT)[4, 1]] = 0.5
    cells[:, token_numbers(OVERVIEW)[2, 3]] = 0.375
    cells[:, 6] = 0.125
    rows = make_rows(id, False, PLAIN, 4, 2, np.random.default_rng(0))
    return replace(rows, rows=cells, grids=(LEFT, RIGHT, OVERVIEW))


def test_the_tiles_are_joined_and_the_overview_is_a_choice(home, serve, open_page, review, expect):
    dataset = made_set(home, [record("tiled", "wide.png"), record("plain", "wide.png")], {"wide.png": WIDE})
    settings = RunSettings("made/model", "0", str(dataset.path), dataset.digest, format=dataset.format)
    run = Run.create(home / "runs/made", settings, dataset.samples)
    with run.writing():
        run.append([tiled_rows("tiled")])
        run.append([make_rows("plain", False, PLAIN, 4, 2, np.random.default_rng(1))])
    page = review(open_page(serve()))
    expect(page.part("page")).to_have_attribute("data-sample", "tiled")
    page.page.wait_for_timeout(100)
    choice = page.part("view-field")
    expect(choice).to_be_visible()

    def hot_cell(grid, row, column):
        seen = brightest(page.page)
        wanted = cell_box(grid, row, column, seen["width"], seen["height"])
        np.testing.assert_allclose(seen["box"], wanted, atol=1)
        x, y, width, _ = seen["picture"]
        scale = width / seen["width"]
        page.page.mouse.move(x + scale * (wanted[0] + wanted[2]) / 2, y + scale * (wanted[1] + wanted[3]) / 2)

    hot_cell(RIGHT, 4, 1)
    expect(page.part("readout")).to_have_text("Row 5, column 8: 50.00% of the attention on the image")
    expect(page.part("legend")).to_contain_text("37.5% lies on the overview")
    expect(page.part("legend")).to_contain_text("12.5% lies on tokens without a place on the image")
    assert page.page.locator(".rv-strip canvas").first.evaluate("canvas => [canvas.width, canvas.height]") == [12, 6]
    page.part("view").select_option("overview")
    hot_cell(OVERVIEW, 2, 3)
    expect(page.part("readout")).to_have_text("Overview, row 3, column 4: 37.50% of the attention on the image")
    expect(page.part("legend")).to_contain_text("50.0% lies on the tiles")
    assert page.page.locator(".rv-strip canvas").first.evaluate("canvas => [canvas.width, canvas.height]") == [8, 4]
    page.page.keyboard.press("j")
    expect(page.part("page")).to_have_attribute("data-sample", "plain")
    expect(choice).to_be_hidden()
