"""What somebody does while the page is still finding out who came in."""

import threading
from pathlib import Path

import gradio
import pytest

from bye_core.runs import Run
from bye_core.ui import visitor
from tests.e2e.conftest import NOWHERE, START_SECONDS
from tests.made_run import make_data

pytestmark = pytest.mark.usefixtures("chromium")


def test_a_set_chosen_while_the_page_still_opens_stays_chosen(
    made, serve, open_page, expect, fresh, monkeypatch, tmp_path
):
    folder, enter, let_in = make_data(tmp_path / "suspect", 8).parent, visitor.enter, threading.Event()

    def late(*given):
        assert let_in.wait(START_SECONDS)
        return enter(*given)

    made()
    monkeypatch.setattr(visitor, "enter", late)
    page = open_page(NOWHERE)
    page.goto(serve())
    page.get_by_role("tab", name="Data", exact=True).click()
    fresh(page, "#data-path input").fill(str(folder))
    page.keyboard.press("Enter")
    expect(page.locator("#data-hint")).to_contain_text("still opening")
    let_in.set()
    page.click("#data-load")
    page.wait_for_selector(".bye-card")
    page.get_by_role("tab", name="Clean", exact=True).click()
    expect(page.locator("#clean-data")).to_contain_text("suspect")


def test_scripts_that_watch_the_tabs_wait_for_them(made, serve, open_page, expect):
    """Gradio adds each kind of component when its script is there: the tabs may be the last one on a busy machine."""
    assets = Path(gradio.__file__).parent / "templates/frontend/assets"
    (tabs,) = (path.name for path in assets.glob("*.js") if "tablist" in path.read_text("utf-8"))
    made()
    page, held = open_page(NOWHERE), []
    page.route(f"**/assets/{tabs}", lambda route: held.append(route))
    with page.expect_response("**/bridge.js") as loaded:
        page.goto(serve(), wait_until="commit")
    loaded.value.finished()
    page.wait_for_timeout(1000)
    assert held, "the tabs are held back"
    assert page.locator("#tabs").count() == 0
    held[0].continue_()
    page.wait_for_selector("html[data-known]")
    page.locator('#tabs [data-tab-id="method"]:visible').click()
    page.wait_for_url("**tab=method**")


def corner(page):
    """Where Review's page begins, and how wide it is."""
    box = page.locator("[data-part=page]").bounding_box()
    return [box[name] for name in ("x", "y", "width")]


def test_samples_are_decided_before_gradio_is_there(made, serve, open_page, review, expect):
    """Gradio's page is held back: what was decided until then is saved, and stays on the screen when it comes."""
    path, page, held, holding = made(), open_page(NOWHERE), [], [True]
    page.route("**/assets/Blocks-*.js", lambda route: held.append(route) if holding[0] else route.continue_())
    page.goto(serve(), wait_until="commit")
    page.wait_for_selector("#first .rv-main .rv-picture")
    sample = page.locator("[data-part=page]").get_attribute("data-sample")
    page.keyboard.press("r")
    expect(page.locator("[data-part=progress]")).to_contain_text(f"Saved: rejected {sample}")
    assert {id: one.choice for id, one in Run.open(path).decisions().items()} == {sample: "reject"}
    where = corner(page)
    holding[0] = False
    for route in held:
        route.continue_()
    shown = review(page)
    expect(page.locator("#first")).to_have_count(0)
    expect(page.locator("#header")).to_contain_text("1 of")  # told once Gradio was there
    assert shown.sample != sample
    assert corner(page) == pytest.approx(where, abs=2)
    page.keyboard.press("u")
    expect(shown.part("messages")).to_contain_text(f"Undone: {sample}")
    assert not Run.open(path).decisions()


def test_a_page_whose_review_is_on_the_screen_waits_for_nothing_more(made, serve, open_page):
    """The longest that the page waits for Review is 3 s: here that time never ends, and it is known who came in."""
    made()
    page = open_page(NOWHERE)
    page.add_init_script(
        "const later = setTimeout; window.setTimeout = (then, ms, ...a) => ms === 3000 ? 0 : later(then, ms, ...a)"
    )
    page.goto(serve())
    page.wait_for_selector("html[data-known]")
