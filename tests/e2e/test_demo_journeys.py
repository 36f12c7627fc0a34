"""A newcomer's first minute on the shipped demo: poison and heatmap in sight, no model loaded, figures and truth."""

import json
import os
import re
import sys
from pathlib import Path

import psutil

from bye_core.demo.tour import DEMO
from bye_core.runs import Run
from tests.e2e.test_layers import Layers
from tests.e2e.test_review_shows import brightest

SHOWN = 4


def test_the_poison_is_in_sight_at_once_and_no_model_is_loaded(serve_apart, open_page, review, expect):
    truth = json.loads((DEMO / "data/truth.json").read_text())
    server = serve_apart(run="")
    page = review(open_page(server.url))
    expect(page.page.locator("#header")).to_contain_text("Poisoning found")
    for _ in range(SHOWN):
        id = page.sample
        assert id in truth["poisoned"]
        expect(page.page.locator(".rv-main .rv-picture")).to_have_attribute("alt", f"{id}, image 1")
        expect(page.page.locator(".rv-facts")).to_contain_text("Backdoor Attack!")
        seen = brightest(page.page)
        scale = seen["width"] / 224  # pixels of the canvas a pixel of the picture
        left, top, right, bottom = (edge / scale for edge in seen["box"])
        ((x, y, far_x, far_y),) = truth["samples"][id]["boxes"]
        assert min(right, far_x) > max(left, x), "the brightest cells touch the trigger"
        assert min(bottom, far_y) > max(top, y), "the brightest cells touch the trigger"
        page.page.keyboard.press("j")
        expect(page.part("page")).not_to_have_attribute("data-sample", id)
    if sys.platform == "linux":
        loaded = {Path(one.path).name for one in psutil.Process(server.process.pid).memory_maps()}
        assert any("sqlite" in name for name in loaded), "the maps are those of the app"
        assert not any(re.match(r"libtorch", name) for name in loaded)


def test_what_is_decided_on_the_demo_stays_ones_own_and_its_truth_is_shown_when_asked_for(
    home, serve, open_page, review, expect
):
    shipped = {path.name: path.stat().st_mtime_ns for path in (DEMO / "run").iterdir()}
    page = review(open_page(serve("")))
    id = page.sample
    page.page.keyboard.press("r")
    page.settle()
    (run,) = (home / "runs").glob("demo*")
    assert Run.open(run).decisions()[id].choice == "reject"
    page.page.get_by_role("tab", name="Method").click()
    page.page.wait_for_selector("#method-pair img")

    layers = Layers(page.page)
    score = layers.page.locator("#adjust-effect [data-score=f1]")
    expect(score).to_have_count(0)
    layers.page.locator("#truth button.label-wrap, #truth > button").first.click()
    layers.page.locator("#truth-demo").click()
    expected = json.loads((DEMO / "numbers.json").read_text())["poisoned"]["score"]
    expect(score).to_have_text(f"{expected['f1']:.3f}")
    assert {path.name: path.stat().st_mtime_ns for path in (DEMO / "run").iterdir()} == shipped, "not even a cache"
    assert os.listdir(home / "runs") == ["demo"]


def test_the_example_of_real_photographs_opens_without_a_model(serve, open_page, review, expect):
    page = review(open_page(serve(""))).page
    page.locator(".bye-switcher summary").click()
    page.locator("[data-open-run=real-photographs]").click()
    expect(page.locator(".bye-header")).to_have_attribute("data-run", "real-photographs")
    expect(page.locator(".bye-switcher summary")).to_contain_text("Real photographs")
    page.wait_for_url(re.compile(r"run=real-photographs\b.*sample="))
    # The sample may change once more, when the list of the run arrives.
    page.wait_for_function("""() => {
      const sample = document.querySelector('[data-part=page]').dataset.sample;
      const picture = document.querySelector('.rv-main .rv-picture');
      return picture?.alt === `${sample}, image 1` && picture.naturalWidth === 224;
    }""")
    seen = brightest(page)
    assert seen["box"][0] < seen["box"][2], "the heatmap is drawn over the photograph"
    page.get_by_role("tab", name="Layers").click()
    expect(page.locator("#layers-said")).to_contain_text("Backdoor Attack!")
    page.get_by_role("tab", name="Dossier").click()
    expect(page.locator("#dossier-told")).to_contain_text("Flagged samples")
