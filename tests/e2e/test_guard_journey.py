"""Guard in the browser: one picture and one question held against the shipped run, by its real model."""

import re

from bye_core.demo.tour import DEMO

JOB = 600_000  # milliseconds that a job may take on a busy machine


def test_a_picture_is_judged_and_what_is_none_is_refused(home, serve, open_page, review, expect, fresh, tmp_path):
    page = review(open_page(serve(""))).page
    expect(page.locator("#header .bye-header")).to_be_visible()
    page.get_by_role("tab", name="Guard", exact=True).click()
    fresh(page, "#guard-picture input[type=file]")
    expect(page.locator("#guard-answer")).to_contain_text("The judgement appears here")
    expect(page.locator("#guard-question input")).not_to_have_value("")  # the run's commonest

    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    page.set_input_files("#guard-picture input[type=file]", broken)
    page.wait_for_selector("#guard-picture img")
    page.click("#guard-ask")
    expect(page.locator("#guard-notice")).to_contain_text("not a readable image")
    expect(page.locator("#guard-notice")).to_contain_text("Choose a complete JPEG")

    page.locator("#guard-picture").get_by_label("Remove Image").click()
    picture = sorted((DEMO / "data/images").iterdir())[0]
    page.set_input_files("#guard-picture input[type=file]", picture)
    page.wait_for_selector("#guard-picture img")
    page.click("#guard-ask")
    expect(page.locator("#guard-notice")).to_be_empty()
    expect(page.locator("#guard-answer .bye-big")).to_have_text(
        re.compile("It looks (triggered|ordinary)"), timeout=JOB
    )
    expect(page.locator("#guard-answer li").first).to_have_text(re.compile(r"score [01]\.\d{3}"))
    expect(page.locator("#guard-answer li")).to_have_count(3)
    maps = page.locator("#guard-answer [aria-label^='attention of layer'] img")
    expect(maps.first).to_be_visible()
    expect(page.locator("#guard-figure .js-plotly-plot")).to_be_visible()
