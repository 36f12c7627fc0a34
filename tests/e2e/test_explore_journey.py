"""Explore in a browser: colours, a filter, a saved view, and the CSV of the flagged samples."""

import csv

from bye_core.ui.open_run import open_run

# Whether the legend of the map names something.
LEGEND = """(words) => [...document.querySelectorAll('#plot-map .legendtext')]
  .some((entry) => entry.textContent.includes(words))"""


def test_samples_are_coloured_filtered_and_downloaded(made, serve, open_page, expect, fresh):
    opened = open_run(made())
    flagged = opened.detection.flagged_ids
    page = open_page(serve())
    heading = page.locator("#explore-table h3")

    def choose(field, option):
        page.locator(f"#explore-{field} input").click()
        page.get_by_role("option", name=option, exact=True).click()

    page.locator('#tabs [data-tab-id="explore"]:visible').click()
    expect(heading).to_have_text("120 samples")
    page.locator("#plot-map .scatterlayer").wait_for()
    choose("color", "answer")
    page.wait_for_function(LEGEND, arg="Backdoor Attack! (12)")
    choose("show", "flagged")
    expect(heading).to_have_text(f"{len(flagged)} samples")
    page.locator("#explore-views > button").click()
    fresh(page, "#explore-name textarea, #explore-name input").fill("what is flagged")
    page.locator("#explore-keep").click()
    expect(page.locator("#explore-saved input")).to_have_value("what is flagged")
    page.locator("#explore-reset").click()
    expect(heading).to_have_text("120 samples")
    choose("saved", "what is flagged")
    expect(heading).to_have_text(f"{len(flagged)} samples")
    with page.expect_download() as download:
        page.locator("#explore-csv").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == set(flagged)
