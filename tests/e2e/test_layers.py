"""Layers and Adjust in a browser: clicks on figures lead on, settings are tried out live, hand decisions stay."""

import json
import re

import pytest

from bye_core.records import Decision
from bye_core.runs import Run
from tests.waiting import until

MOVE = """(input, value) => {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, value);
  input.dispatchEvent(new Event('input', { bubbles: true }));
}"""


class Layers:
    """What a person sees and does on the Layers page and in Adjust."""

    def __init__(self, page) -> None:
        self.page = page
        page.wait_for_selector("#header .bye-header")
        self.front()

    def front(self) -> None:
        self.page.locator('[data-tab-id="layers"]:visible').click()
        self.page.wait_for_selector("#plot-bsi .bars .point")
        self.page.wait_for_selector("#plot-heads .hm image, #plot-heads .hm path, #plot-heads .hm")
        self.page.wait_for_selector("#adjust-effect .bye-effect")  # Adjust makes the figures narrower

    @property
    def chosen(self):
        return self.page.locator("#layers-chosen h3")

    def axis(self, plot: str):
        return self.page.locator(f"#plot-{plot} .xtitle")

    def middle(self, locator) -> tuple[float, float]:
        locator.scroll_into_view_if_needed()
        seen = [None]

        def at_rest():
            self.page.wait_for_timeout(300)
            seen.append(locator.bounding_box())
            return seen[-1] if seen[-1] == seen[-2] else None

        box = until(at_rest)
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def click(self, locator) -> None:
        self.page.mouse.click(*self.middle(locator))

    def count(self, name: str) -> int:
        return int(self.page.locator(f"#adjust-effect [data-count={name}]").get_attribute("data-value"))

    def wait_count(self, name: str, value: int) -> None:
        self.page.wait_for_selector(f'#adjust-effect [data-count={name}][data-value="{value}"]')

    def cut(self, value: float) -> None:
        self.page.locator("#adjust-cut input[type=range]").evaluate(MOVE, str(value))


@pytest.fixture
def layers(made, serve, open_page):
    path = made()
    page = Layers(open_page(serve()))
    page.path = path
    return page


def test_a_click_on_a_layer_shows_its_histogram(layers, expect):
    """Journey (a); a layer is chosen from the start, and figures that were drawn again still listen."""
    expect(layers.chosen).to_have_text(re.compile(r"Layer [2-5]"))
    layers.click(layers.page.locator("#plot-bsi .bars .point path").nth(0))
    expect(layers.chosen).to_have_text("Layer 0")
    expect(layers.axis("layer")).to_have_text("entropy of layer 0 [nats]")
    expect(layers.page.locator("#layers-layer input")).to_have_value(re.compile("^0: BSI"))
    layers.page.locator("#adjust-tau input").fill("0.5")
    expect(layers.page.locator("#plot-bsi .annotation-text")).to_have_text(re.compile("0.5"))
    layers.click(layers.page.locator("#plot-bsi .bars .point path").nth(1))
    expect(layers.chosen).to_have_text("Layer 1")
    layers.page.mouse.click(*layers.middle(layers.page.locator("#plot-heads .nsewdrag").first))
    expect(layers.chosen).to_have_text(re.compile(r"Layer \d, head \d"))
    expect(layers.axis("layer")).to_have_text(re.compile(r"layer \d, head \d"))


def test_a_click_on_a_point_opens_that_sample_and_a_lasso_lists_several(layers, review, expect):
    """Journey (b)."""
    points = layers.page.locator("#plot-scatter .scatterlayer .trace").last.locator(".point")
    hover = layers.page.locator("#plot-scatter .hovertext").first

    def hovered():
        layers.page.mouse.move(0, 0)
        layers.page.mouse.move(*(at := layers.middle(points.first)))
        layers.page.wait_for_timeout(300)
        found = re.search(r"s\d{5}", hover.text_content()) if hover.count() else None
        return found and (at, found[0])

    at, id = until(hovered)
    layers.page.mouse.click(*at)
    expect(layers.page.locator('[data-tab-id="review"]:visible')).to_have_attribute("aria-selected", "true")
    expect(layers.page.locator("[data-part=page]")).to_have_attribute("data-sample", id)
    layers.front()
    flagged = len(Run.open(layers.path).detection().flagged_ids)
    layers.middle(layers.page.locator("#plot-scatter"))
    area, line = (
        layers.page.locator(f"#plot-scatter {part}").first.bounding_box() for part in (".nsewdrag", ".shapelayer path")
    )
    left, top, right, bottom = area["x"] + 2, area["y"] + 2, line["x"] - 4, area["y"] + area["height"] - 2
    layers.page.mouse.move(left, top)
    layers.page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom), (left, top + 4)):
        layers.page.mouse.move(*corner, steps=4)
    layers.page.mouse.up()
    expect(layers.page.locator('[data-tab-id="review"]:visible')).to_have_attribute("aria-selected", "true")
    expect(layers.page.locator("[data-part=count]")).to_have_text(re.compile(f"of {flagged}$"))


def test_the_cut_off_changes_counts_and_hand_decisions_stay(layers, expect):
    """Journey (e)."""
    detection = Run.open(layers.path).detection()
    flagged, kept = detection.flagged_ids, [id for id in detection.ids if id not in detection.flagged_ids]
    Run.open(layers.path).decide([Decision(flagged[0], "accept"), Decision(kept[0], "reject")])
    layers.wait_count("flagged", len(flagged))
    top = float(layers.page.locator("#adjust-cut input[type=range]").get_attribute("max"))
    layers.cut(top)
    layers.wait_count("flagged", len(detection.ids))
    assert layers.count("added") == len(kept)
    assert layers.count("accepted") == 1
    expect(layers.page.locator(".bye-unsaved")).to_contain_text(f"{len(detection.ids)} of {len(detection.ids)} flagged")
    assert set(Run.open(layers.path).detection().flagged_ids) == set(flagged)
    layers.page.locator("#adjust-back").click()
    layers.wait_count("flagged", len(flagged))
    layers.wait_count("rejected", 1)
    layers.cut(top)
    layers.wait_count("flagged", len(detection.ids))
    layers.page.locator("#adjust-use").click()
    expect(layers.page.locator(".bye-unsaved")).to_have_count(0)
    expect(layers.page.locator("#header")).to_contain_text(f"{len(detection.ids)} of {len(detection.ids)} flagged")
    assert len(Run.open(layers.path).detection().flagged_ids) == len(detection.ids)
    decided = {id: decision.choice for id, decision in Run.open(layers.path).decisions().items()}
    assert decided == {flagged[0]: "accept", kept[0]: "reject"}
    layers.page.locator("#adjust-effect [data-list=accepted]").click()
    expect(layers.page.locator("[data-part=page]")).to_have_attribute("data-sample", flagged[0])


def test_a_truth_file_gives_colours_and_scores_and_is_forgotten(layers, home, tmp_path, expect, fresh):
    legend = layers.page.locator("#plot-layer .legendtext")
    expect(legend.first).to_have_text("flagged")
    layers.page.locator("#truth button.label-wrap, #truth > button").first.click()
    (tmp_path / "bad.json").write_text(json.dumps({"clean": []}))
    upload = fresh(layers.page, "#truth input[type=file]").first
    upload.set_input_files(tmp_path / "bad.json")
    expect(layers.page.locator("#truth-status [role=alert]")).to_contain_text("bad.json is not a truth file")
    layers.page.locator("#truth input[type=file]").first.set_input_files(home / "made/data/truth.json")
    expect(layers.page.locator("#adjust-effect [data-score=f1]")).to_have_text("1.000")
    expect(legend.first).to_have_text("poisoned")
    layers.page.locator("#truth-forget").click()
    expect(layers.page.locator("#adjust-effect [data-score=f1]")).to_have_count(0)
    expect(legend.first).to_have_text("flagged")


def test_an_empty_home_and_an_unexamined_run_teach_the_next_step(made, serve, open_page, expect, monkeypatch):
    monkeypatch.setattr("bye_core.ui.demo_run.has_demo", lambda: False)
    page = open_page(serve(""))
    page.locator('[data-tab-id="layers"]:visible').click()
    expect(page.locator("#layers-said")).to_contain_text("No run is open")
    page.locator("#layers-scan").click()
    expect(page.locator('[data-tab-id="scan"]:visible')).to_have_attribute("aria-selected", "true")
    (made() / "detection.json").unlink()
    page = open_page(serve("made"))
    page.locator('[data-tab-id="layers"]:visible').click()
    page.locator("#layers-detect").click()
    page.wait_for_selector("#plot-bsi .bars .point")
    expect(page.locator("#header")).to_contain_text("12 of 120 flagged")
