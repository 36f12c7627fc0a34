"""What somebody does while the page is still finding out who came in."""

import threading

import pytest

from bye_core.ui import layout
from tests.made_run import make_data

pytestmark = pytest.mark.usefixtures("chromium")


def test_a_set_chosen_while_the_page_still_opens_stays_chosen(
    made, serve, open_page, expect, fresh, monkeypatch, tmp_path
):
    folder, enter, let_in = make_data(tmp_path / "suspect", 8).parent, layout.enter, threading.Event()

    def late(*given):
        assert let_in.wait(90)
        return enter(*given)

    made()
    monkeypatch.setattr(layout, "enter", late)
    page = open_page(serve())
    page.get_by_role("tab", name="Data", exact=True).click()
    fresh(page, "#data-path input").fill(str(folder))
    page.keyboard.press("Enter")
    expect(page.locator("#data-notice")).to_contain_text("still opening")
    let_in.set()
    page.click("#data-load")
    page.wait_for_selector(".bye-card")
    page.get_by_role("tab", name="Clean", exact=True).click()
    expect(page.locator("#clean-data")).to_contain_text("suspect")
