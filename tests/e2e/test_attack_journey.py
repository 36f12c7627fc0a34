"""Attack in a real browser: choose triggers, look at samples, write the poisoned set and open it."""

from __future__ import annotations

import json

import pytest

from tests.made_run import make_data

pytestmark = pytest.mark.usefixtures("chromium")


def test_a_set_is_poisoned_and_opened(serve, open_page, expect, fresh, home, tmp_path):
    page = open_page(serve(run=""))
    page.get_by_role("tab", name="Data").click()
    fresh(page, "#data-path input").fill(str(make_data(tmp_path / "mine", 20).parent))
    page.click("#data-load")
    expect(page.locator(".bye-card")).to_have_count(20)

    page.get_by_role("tab", name="Attack").click()
    cards = page.locator("#attack-cards li")
    expect(cards).to_have_count(2)
    expect(cards.locator("img")).to_have_count(6)
    expect(page.locator("#attack-command")).to_contain_text("--trigger patch")
    page.fill("#attack-triggers input", "prefix:")
    page.get_by_role("option", name="prefix:").click()
    expect(cards.first.locator("ins").first).to_have_text("Hello!")
    expect(page.locator("#attack-prefix-text")).to_be_visible()
    page.fill("#attack-rate input", "0.3")
    page.keyboard.press("Tab")
    expect(page.locator("#attack-count")).to_contain_text("of the 6 samples")
    page.click("#attack-others")
    expect(page.locator("#attack-count")).to_contain_text("4 to 6 of the 6 samples")

    page.click("#attack-start")
    expect(page.locator("#attack-job")).to_contain_text("6 samples poisoned")
    page.click("#attack-open")
    expect(page.locator("#data-summary h3")).to_have_text("mine-patch-prefix")
    expect(page.locator(".bye-card .bye-q").filter(has_text="Hello!")).to_have_count(6)
    truth = json.loads((home / "data/mine-patch-prefix/truth.json").read_text())
    assert [trigger["name"] for trigger in truth["attack"]["triggers"]] == ["patch", "prefix"]


def test_a_look_is_chosen_from_a_list_and_a_trigger_that_fits_no_sample_says_why(serve, open_page, expect):
    page = open_page(serve(run=""))
    page.get_by_role("tab", name="Attack").click()
    cards = page.locator("#attack-cards li")
    expect(cards).to_have_count(3)
    page.locator("#attack-triggers").get_by_role("button", name="Remove").first.click()
    page.fill("#attack-triggers input", "style:")
    page.get_by_role("option", name="style:").click()
    expect(page.locator("#attack-command")).to_contain_text("--trigger style")
    before = page.locator("#attack-cards img").nth(1).get_attribute("src")
    page.locator("#attack-style-look input").click()
    page.get_by_role("option", name="night").click()
    expect(page.locator("#attack-command")).to_contain_text("style.look=night")
    expect(page.locator("#attack-cards img").nth(1)).not_to_have_attribute("src", before)
    page.fill("#attack-triggers input", "mismatch:")
    page.get_by_role("option", name="mismatch:").click()
    expect(page.get_by_text("must each contain one of the names")).to_be_visible()
    expect(page.locator("#attack-start")).to_be_disabled()
