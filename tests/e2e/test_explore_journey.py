"""Explore and Detectors in a browser: a loop on the map leads to Review, a disagreement to another method."""

import csv
import re

import numpy as np

from bye_core.runs import Run
from bye_core.ui.open_run import open_run
from bye_core.ui.tabs.explore import drawing

# Where a sample is on the page, by plotly's own axes.
PLACE = """([x, y]) => {
  const graph = document.querySelector('#plot-map .js-plotly-plot');
  const { xaxis, yaxis } = graph._fullLayout;
  const box = graph.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.l2p(x), box.top + yaxis._offset + yaxis.l2p(y)];
}"""


def front(page, tab):
    page.locator(f'#tabs [data-tab-id="{tab}"]:visible').click()


def test_from_the_map_and_the_methods_to_the_samples(made, serve, open_page, expect):
    path = made()
    opened = open_run(path)
    flagged = opened.columns.flagged
    xy, _ = drawing.projection(opened, "entropy")
    page = open_page(serve(), viewport={"width": 1600, "height": 1000})
    front(page, "explore")
    expect(page.locator("#explore-table h3")).to_have_text("120 samples")
    page.locator("#plot-map .scatterlayer").wait_for()

    # A loop around the flagged samples, which are far from the others.
    low, high = xy[flagged].min(axis=0), xy[flagged].max(axis=0)
    points = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]], [low[0], low[1]]])
    inside = ((xy >= low) & (xy <= high)).all(axis=1)
    page.locator("#plot-map").scroll_into_view_if_needed()
    corners = [page.evaluate(PLACE, point.tolist()) for point in points]
    middle = np.mean(corners[:4], axis=0)
    corners = [np.array(corner) + 6 * np.sign(np.array(corner) - middle) for corner in corners]  # 6 pixels outside
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    expect(page.locator("#explore-table h3")).to_have_text(f"{inside.sum()} selected samples")
    page.locator("#explore-review").click()
    expect(page.locator("[data-part=count]")).to_have_text(re.compile(f"of {inside.sum()}$"))

    front(page, "explore")
    page.locator("#explore-clear").click()
    expect(page.locator("#explore-table h3")).to_have_text("120 samples")
    with page.expect_download() as download:
        page.locator("#explore-csv").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == set(opened.detection.flagged_ids)

    front(page, "detectors")
    page.locator("#detectors-table [data-do=only_here][data-key='defaults/random']").click()
    sample = page.locator("#detectors-samples [data-do=sample]").first
    id = sample.inner_text()
    sample.click()
    expect(page.locator("[data-part=page]")).to_have_attribute("data-sample", id)
    front(page, "detectors")
    page.locator("#detectors-table [data-do=try][data-key='defaults/cleansight']").click()
    expect(page.locator("#adjust-method input")).to_have_value(re.compile("CleanSight"))
    assert Run.open(path).detection().method == "bye", "only tried"
    front(page, "detectors")
    page.locator("#detectors-table [data-do=use][data-key='tried/cleansight']").click()
    expect(page.locator("#detectors-table tr[aria-current]")).to_contain_text("CleanSight")
    assert Run.open(path).detection().method == "cleansight"
