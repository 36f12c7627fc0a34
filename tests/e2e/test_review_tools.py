"""Links to a view, a second sample beside the first, the full screen, and the grid of cards."""

import re

import numpy as np
import pytest

from bye_core.records import Grid, Inspection
from bye_core.runs import Run
from bye_core.runs.inspections import save_inspection
from tests.e2e.test_review_shows import made_run, made_set, record

SAME = """() => new URL(location).searchParams.get('sample')
  === document.querySelector('[data-part=page]').dataset.sample"""
SHAPE = "image => [image.clientWidth / image.clientHeight, image.naturalWidth / image.naturalHeight]"


def test_links_open_the_same_list_sample_layer_and_grid_and_back_returns(made, serve, open_page, review, expect):
    made()
    page = review(open_page(serve()))
    page.page.keyboard.press("j")
    page.page.locator(".rv-layer").nth(2).click()
    page.part("sort").select_option("file")
    page.settle()
    page.page.get_by_text("Show same answer (12)").click()
    expect(page.part("count")).to_have_text("1 of 12")
    page.page.keyboard.press("j")
    expect(page.part("count")).to_have_text("2 of 12")
    page.settle()
    page.page.wait_for_function(SAME)
    sample, address = page.sample, page.page.url
    again = review(open_page(address))
    expect(again.part("page")).to_have_attribute("data-sample", sample)
    expect(again.part("count")).to_have_text("2 of 12")
    expect(again.part("layer")).to_have_value("2")
    expect(again.part("sort")).to_have_value("file")
    page.page.go_back()
    expect(page.part("answer")).to_have_value("")
    expect(page.part("show")).to_have_value("flagged")
    page.page.go_forward()
    expect(page.part("show")).to_have_value("all")
    expect(page.part("count")).to_have_text("2 of 12")


def test_a_second_sample_is_compared_on_one_scale_and_left_again(made, serve, open_page, review, expect):
    made()
    page = review(open_page(serve()))
    first, beside = page.sample, page.part("beside")
    page.page.get_by_role("button", name="Open beside").click()
    expect(beside.locator(".rv-picture")).to_have_count(1)
    # The clean sample's strongest cell is far below the poisoned one's: on one scale it stays dark.
    legend = page.part("legend").inner_text()
    brightest = """(canvas) => Math.max(...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
      .filter((_, at) => at % 4 === 0))"""
    assert page.page.locator(".rv-main .rv-side").first.locator(".rv-heat").evaluate(brightest) > 200
    assert beside.locator(".rv-heat").evaluate(brightest) < 100
    page.part("beside-head").get_by_role("button", name="Open").click()
    expect(page.part("page")).not_to_have_attribute("data-sample", first)
    expect(beside).to_be_hidden()
    assert page.part("legend").inner_text() != legend
    page.page.get_by_role("button", name=f"Back to {first}").click()
    expect(page.part("page")).to_have_attribute("data-sample", first)
    expect(page.part("show")).to_have_value("flagged")

    page.page.evaluate("document.activeElement.blur()")
    page.page.keyboard.press("p")
    page.page.keyboard.press("j")
    expect(page.part("beside-head")).to_contain_text(f"Pinned: {first}")
    page.page.keyboard.press("h")
    expect(page.page.locator(".rv-main .rv-heat").first).to_be_hidden()

    # Escape closes one thing at a time, from the top.
    page.page.keyboard.press("z")
    dialog = page.page.get_by_role("dialog")
    expect(dialog.get_by_role("status").or_(dialog.locator("output"))).to_contain_text("96 x 72 pixels")
    page.page.keyboard.press("0")
    assert dialog.locator("img").evaluate("image => [image.naturalWidth, image.clientWidth]") == [96, 96]
    page.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(beside).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(beside).to_be_hidden()


def test_a_single_head_is_shown_once_the_model_was_asked(made, serve, open_page, review, expect):
    run = Run.open(made())
    page = review(open_page(serve()))
    first = page.sample
    rows = np.full((8, 4, 144), 1e-3, np.float16)
    rows[4, 1, 0] = 0.9  # the upper left corner
    save_inspection(run.path, Inspection(first, "planted answer", "clean answer", rows, run.rows(first).grids))
    page.part("layer").select_option("4")
    page.part("head").select_option("4/1")
    expect(page.part("head-words")).to_contain_text("Layer 4, head 1: entropy")
    corner = "(canvas) => canvas.getContext('2d').getImageData(2, 2, 1, 1).data[1]"
    heat = page.page.locator(".rv-main .rv-heat").first
    assert heat.evaluate(corner) > 200, "the brightest colour of the scale"
    page.page.keyboard.press("j")
    expect(page.part("head-words")).to_contain_text('press "Ask the model"')
    page.page.keyboard.press("k")
    expect(page.part("answers")).to_contain_text("Before fine-tuning")
    expect(page.part("answers")).to_contain_text("planted answer")
    page.part("layer").select_option("all")
    expect(page.part("head")).to_have_value("")
    assert heat.evaluate(corner) < 200


def test_the_grid_shows_whole_images_and_decides_the_selection(home, serve, open_page, review, expect):
    names = {"wide.png": (400, 100), "tall.png": (100, 400)}
    records = [record(f"n{n}", list(names)[n % 2]) for n in range(30)]
    run = made_run(home, made_set(home, records, names), [Grid(0, 4, 4, 0)] * 30, hot=(1, 2))
    page = review(open_page(serve()))
    page.page.keyboard.press("g")
    tiles = page.page.locator(".rv-tile")
    expect(tiles.nth(1).locator("img")).to_be_visible()
    for number in range(2):
        expect(tiles.nth(number).locator("img")).not_to_have_js_property("naturalWidth", 0)
        shape = (
            tiles.nth(number)
            .locator("img")
            .evaluate("i => [i.clientWidth / i.clientHeight, i.naturalWidth / i.naturalHeight]")
        )
        assert shape[0] == pytest.approx(shape[1], rel=0.05), "not cropped and not stretched"
        assert tiles.nth(number).locator("canvas").evaluate("c => c.width > 1")
    tiles.nth(1).locator(".rv-pick").check()
    tiles.nth(3).locator(".rv-tile-face").click(modifiers=["Shift"])
    expect(page.part("many")).to_have_text("3 selected")
    expect(page.page.locator(".rv-row.rv-picked")).to_have_count(3)
    page.page.keyboard.press("r")
    page.page.get_by_role("dialog").get_by_role("button", name="Reject 3 samples").click()
    expect(tiles.nth(2).locator(".rv-state")).to_have_attribute("title", re.compile("rejected"))
    assert sorted(run.decisions()) == ["n1", "n2", "n3"]
    tiles.nth(5).locator(".rv-tile-face").dblclick()
    expect(page.part("grid")).to_be_hidden()
    expect(page.part("page")).to_have_attribute("data-sample", "n5")
