"""What Review shows: the heatmap where it belongs, hostile texts as text, samples of other tabs, what is missing."""

import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline
from bye_core.data import load_dataset
from bye_core.figures import cell_box
from bye_core.records import Grid
from bye_core.runs import Run, RunSettings
from bye_core.ui import app
from bye_core.ui.session import Tab
from bye_core.ui.shared.events import SESSION
from bye_core.ui.tabs.review import view as review_view
from tests.e2e.conftest import NOWHERE, QUIET, ROWS
from tests.made_run import make_rows

# The box of the brightest pixels of the canvas, and what the canvas stands for.
BRIGHT = """() => {
  const canvas = document.querySelector('.rv-main .rv-heat');
  const { width, height } = canvas;
  const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  const box = [width, height, 0, 0];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const at = 4 * (y * width + x);
    if (pixels[at] > 200 && pixels[at + 1] > 200) {
      box[0] = Math.min(box[0], x); box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x + 1); box[3] = Math.max(box[3], y + 1);
    }
  }
  const picture = document.querySelector('.rv-main .rv-picture').getBoundingClientRect();
  const place = canvas.getBoundingClientRect();
  return { box, width, height, picture: [picture.x, picture.y, picture.width, picture.height],
           place: [place.x, place.y, place.width, place.height] };
}"""


def brightest(page):
    """Return what BRIGHT finds, once Review has drawn the sample: an answer may draw it once more."""
    page.evaluate(QUIET)
    drawn = "document.querySelector('.rv-main .rv-picture') && !document.querySelector('.rv-main .rv-waiting')"
    return page.wait_for_function(f"() => {drawn} && ({BRIGHT})()").json_value()


WIDE, TALL = (400, 200), (150, 300)
SIDE, ROW, COLUMN = 12, 4, 7


def made_set(home, records, pictures):
    """A LLaVA set at home; `pictures`: name -> size."""
    (home / "set").mkdir()
    for name, size in pictures.items():
        Image.new("RGB", size, "gray").save(home / "set" / name)
    (home / "set/data.json").write_text(json.dumps(records))
    return load_dataset(home / "set/data.json")


def made_run(home, dataset, grids, hot=None):
    """A run of every sample of the set; `hot` = (row, column) gets all of the attention."""
    settings = RunSettings("made/model", "0", str(dataset.path), dataset.digest, format=dataset.format)
    run, rng = Run.create(home / "runs/made", settings, dataset.samples), np.random.default_rng(0)
    with run.writing():
        for sample, grid in zip(dataset.samples, grids, strict=True):
            rows = make_rows(sample.id, False, grid, 4, 2, rng)
            if hot:
                cells = np.zeros((4, grid.rows, grid.columns), np.float16)
                cells[:, hot[0], hot[1]] = 0.5
                rows = replace(rows, rows=cells.reshape(4, -1))
            run.append([rows])
    return run


def record(id, image, question="What?", answer="That."):
    turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
    return {"id": id, "image": image, "conversations": turns}


def test_the_hot_cell_lies_where_the_model_looked(home, serve, open_page, review, expect):
    cases = {
        "wide-crop": ("wide.png", WIDE, (0.25, 0.0, 0.75, 1.0)),
        "wide-pad": ("wide.png", WIDE, (0.0, -0.5, 1.0, 1.5)),
        "tall-crop": ("tall.png", TALL, (0.0, 0.25, 1.0, 0.75)),
        "tall-pad": ("tall.png", TALL, (-0.5, 0.0, 1.5, 1.0)),
    }
    dataset = made_set(
        home, [record(id, name) for id, (name, *_) in cases.items()], {"wide.png": WIDE, "tall.png": TALL}
    )
    made_run(home, dataset, [Grid(0, SIDE, SIDE, 0, box) for *_, box in cases.values()], hot=(ROW, COLUMN))
    page = review(open_page(serve(), device_scale_factor=2))
    for number, (id, (_, size, box)) in enumerate(cases.items()):
        expect(page.part("page")).to_have_attribute("data-sample", id)
        expect(page.page.locator(".rv-main .rv-picture")).to_have_attribute("alt", f"{id}, image 1")
        seen = brightest(page.page)
        wanted = cell_box(Grid(0, SIDE, SIDE, 0, box), ROW, COLUMN, seen["width"], seen["height"])
        np.testing.assert_allclose(seen["box"], wanted, atol=1, err_msg=id)
        # The canvas covers the picture, and the picture keeps its shape.
        np.testing.assert_allclose(seen["place"], seen["picture"], atol=0.5)
        assert seen["width"] / seen["height"] == pytest.approx(size[0] / size[1], rel=0.02)
        # The numbers under the pointer are those of the cell.
        x, y, width, _ = seen["picture"]
        scale = width / seen["width"]
        middle = [x + scale * (wanted[0] + wanted[2]) / 2, y + scale * (wanted[1] + wanted[3]) / 2]
        page.page.mouse.move(*middle)
        expect(page.part("readout")).to_have_text(
            f"Row {ROW + 1}, column {COLUMN + 1}: 100.00% of the attention on the image"
        )
        if number < len(cases) - 1:
            page.page.keyboard.press("j")


def test_several_pictures_each_have_their_own_grid(home, serve, open_page, review, expect):
    turns = [{"from": "human", "value": "<image>\n<image>\nSame?"}, {"from": "gpt", "value": "no"}]
    records = [{"id": "pair", "images": ["wide.png", "tall.png"], "conversations": turns}]
    dataset = made_set(home, records, {"wide.png": WIDE, "tall.png": TALL})
    run = Run.create(
        home / "runs/made",
        RunSettings("made/model", "0", str(dataset.path), dataset.digest, format=dataset.format),
        dataset.samples,
    )
    first, second = Grid(0, 4, 8, 0), Grid(1, 8, 4, 32)
    rows = make_rows("pair", False, Grid(0, 8, 8, 0), 4, 2, np.random.default_rng(0))
    with run.writing():
        run.append([replace(rows, grids=(first, second))])
    page = review(open_page(serve()))
    expect(page.page.locator(".rv-main .rv-picture")).to_have_count(2)
    for number, words in enumerate(("of 2", "of 2")):
        stage = page.page.locator(".rv-main .rv-stage").nth(number)
        stage.hover(position={"x": 5, "y": 5})
        expect(page.part("readout")).to_contain_text("Row 1, column 1")
        expect(page.page.locator(".rv-main figcaption").nth(number)).to_contain_text(words)


def test_layers_and_opacity_change_without_the_server(made, serve, open_page, review, expect):
    made()
    page = review(open_page(serve()))
    expect(page.page.locator(".rv-typical .rv-picture")).to_have_count(1)
    page.page.context.set_offline(True)
    page.part("opacity").fill("20")
    expect(page.part("opacity-value")).to_have_text("20%")
    heat = page.page.locator(".rv-main .rv-heat")
    assert float(heat.evaluate("canvas => getComputedStyle(canvas).opacity")) == 0.2
    before = heat.evaluate("canvas => canvas.toDataURL()")
    page.page.locator(".rv-layer").nth(0).click()
    expect(page.part("layer")).to_have_value("0")
    assert heat.evaluate("canvas => canvas.toDataURL()") != before
    page.part("layer").select_option("all")
    expect(page.page.locator(".rv-shown")).to_have_count(8)


SCRIPT = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
TEMPLATE = "${window.hacked=1}{{value}}'\"><svg onload=window.hacked=1>"


def test_hostile_texts_are_shown_as_text(home, serve, open_page, review, expect):
    records = [record(f"{SCRIPT}{n}", "a.png", SCRIPT + TEMPLATE, TEMPLATE + SCRIPT) for n in range(3)]
    dataset = made_set(home, records, {"a.png": (60, 40)})
    run = made_run(home, dataset, [Grid(0, 4, 4, 0)] * 3)
    pipeline.detect_run(run.path, "bye")
    page = review(open_page(serve()))
    page.settle()
    assert page.sample in [one["id"] for one in records]
    expect(page.page.locator(".rv-title")).to_have_text(page.sample)
    expect(page.page.locator(".rv-answer")).to_have_text(TEMPLATE + SCRIPT)
    first = page.sample
    page.part("note").fill(SCRIPT)
    page.page.evaluate("document.activeElement.blur()")
    page.page.keyboard.press("r")
    page.settle()
    page.page.keyboard.press("u")
    expect(page.part("messages")).to_contain_text(f"Undone: {first}")
    page.page.get_by_text("Show same question (3)").click()
    page.settle()
    assert page.page.evaluate("window.hacked") is None
    assert page.page.locator("#review img[src=x], #review script, #review svg").count() == 0


@pytest.fixture
def other_tab(monkeypatch):
    """A tab that opens a sample in Review, as a click on a point does; returns what it sets."""
    wanted = {}

    def build(frame, tab):
        gr.Button("Go", elem_id="go").click(
            lambda session: (
                replace(session, revision=session.revision + 1, **wanted),
                gr.Tabs(selected="review"),
            ),
            frame.session, [frame.session, frame.tabs], **SESSION,
        )  # fmt: skip

    monkeypatch.setattr(app, "TABS", (Tab("other", "Other", build), review_view.TAB))
    return wanted


def test_a_sample_picked_elsewhere_opens_again_and_again(made, other_tab, serve_new, open_page, review, expect):
    made()
    other_tab["sample"] = "s00005"
    page = open_page(serve_new("made"))
    page.get_by_role("tab", name="Other").click()
    page.locator("#go").click()
    shown = review(page)
    for _ in range(2):
        expect(shown.part("page")).to_have_attribute("data-sample", "s00005")
        shown.settle()
        page.keyboard.press("j")
        expect(shown.part("page")).not_to_have_attribute("data-sample", "s00005")
        page.get_by_role("tab", name="Other").click()
        page.locator("#go").click()
    expect(shown.part("page")).to_have_attribute("data-sample", "s00005")


def test_samples_picked_elsewhere_are_listed_alone(made, other_tab, serve_new, open_page, review, expect):
    made()
    other_tab["selection"] = ("s00005", "s00017", "s00002")
    page = open_page(serve_new("made"))
    page.get_by_role("tab", name="Other").click()
    page.locator("#go").click()
    shown = review(page)
    expect(shown.part("count")).to_have_text("1 of 3")
    shown.part("picked").click()
    expect(shown.part("count")).to_contain_text("of 120")


def test_the_first_sample_does_not_wait_for_the_session(made, serve, open_page, review, expect):
    path = made()
    url = serve()
    page = open_page(NOWHERE)
    page.route("**/queue/join*", lambda route: None)  # Gradio's own questions are never answered
    page.goto(url)
    shown = review(page)
    expect(page.locator(".rv-main .rv-picture")).to_have_attribute("alt", f"{shown.sample}, image 1")
    first = shown.sample
    page.keyboard.press("r")
    shown.settle()
    assert Run.open(path).decisions()[first].choice == "reject"


def test_a_first_token_that_is_a_blank_is_left_out(home, serve, open_page, review, expect):
    dataset = made_set(home, [record("a", "a.png"), record("b", "a.png")], {"a.png": (60, 40)})
    settings = RunSettings("made/model", "0", str(dataset.path), dataset.digest, format=dataset.format)
    run, rng = Run.create(home / "runs/made", settings, dataset.samples), np.random.default_rng(0)
    with run.writing():
        for sample, token in zip(dataset.samples, (" ", "two"), strict=True):
            rows = make_rows(sample.id, False, Grid(0, 4, 4, 0), 4, 2, rng)
            run.append([replace(rows, token_text=token)])
    page = review(open_page(serve()))
    facts = page.part("facts")
    expect(facts.locator(".rv-answer")).to_be_visible()
    expect(facts.locator(".rv-token")).to_have_count(0)
    page.page.keyboard.press("j")
    expect(facts.locator(".rv-token")).to_have_text("two")


def test_filters_find_and_an_empty_one_teaches(made, serve, open_page, review, expect):
    made()
    page = review(open_page(serve()))
    assert page.listed == 12
    page.page.get_by_text("Show same answer (12)").click()
    page.settle()
    assert page.listed == 12
    page.part("answer").select_option("")
    page.part("text").fill("s0001")
    expect(page.part("count")).to_have_text("1 of 10")
    page.show("accepted")
    expect(page.part("teach")).to_contain_text("No sample matches this filter.")
    page.part("teach").get_by_role("button").click()
    expect(page.part("count")).to_have_text("1 of 120")
    page.part("sort").select_option("file")
    expect(page.part("page")).to_have_attribute("data-sample", "s00000")


def test_a_moved_data_set_is_said_in_the_pictures_place(made, home, serve, open_page, review, expect):
    path = made()
    (home / "made/data").rename(home / "made/elsewhere")
    page = review(open_page(serve()))
    expect(page.part("notice")).to_contain_text("data.json")
    expect(page.page.locator(".rv-main .rv-missing")).to_contain_text("data.json")
    page.page.keyboard.press("r")
    page.settle()
    assert len(Run.open(path).decisions()) == 1


def test_a_phone_shows_the_picture_first_and_two_thumb_wide_buttons(made, serve, open_page, review, expect):
    made()
    page = review(open_page(serve(), viewport={"width": 420, "height": 860}, has_touch=True))
    page.page.wait_for_selector(".rv-main .rv-picture")
    parts = (".rv-main .rv-stage", ".rv-head", ".rv-main .rv-strip", ".rv-rest")
    tops = [page.page.locator(name).bounding_box()["y"] for name in parts]
    assert tops == sorted(tops)
    layers, first = (page.page.locator(f".rv-main .{name}").first.bounding_box() for name in ("rv-strip", "rv-layer"))
    assert first["y"] + first["height"] <= layers["y"] + layers["height"]
    for name in ("accept", "reject"):
        box = page.part(name).bounding_box()
        assert box["height"] >= 44
        assert box["width"] >= 150
        assert box["y"] + box["height"] <= 860
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 420

    # Adjust's numbers come when it is opened first, and leave it open.
    handle = page.page.get_by_role("button", name="Adjust: method, layers, cut-off")
    handle.click()
    page.page.wait_for_selector("#adjust-effect .bye-effect")
    page.page.evaluate(QUIET)
    expect(handle).to_have_attribute("aria-expanded", "true")


def test_samples_that_are_worth_a_look_are_a_list(made, serve, open_page, expect):
    """Nothing is flagged: the empty list of flagged samples leads to them."""
    run = Run.open(made(samples=40, rate=0.0))
    last = run.detection()
    suspects = last.ids[3:6]
    nothing = np.zeros(len(last.ids), bool)
    run.save_detection(replace(last, verdict="no_evidence", flagged=nothing, findings=(), suspects=suspects))
    page = open_page(serve())
    page.wait_for_selector(".rv-row")
    show = page.locator("[data-part=show]")
    show.select_option("flagged")
    page.locator(".rv-teach").wait_for()  # the list is filtered on the server
    page.set_viewport_size({"width": 420, "height": 900})
    expect(page.locator("[data-part=page]")).to_have_attribute("data-fit", "narrow")
    message, filters = (page.locator(name).bounding_box() for name in (".rv-teach", ".rv-filters"))
    assert message["y"] + message["height"] <= filters["y"], "on a phone, the message is above the filters"
    assert min(message["width"], filters["width"]) > 300, "and both are as wide as the page"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("button", name="Show 3 samples worth a look").click()
    page.wait_for_function("() => document.querySelectorAll('.rv-row').length === 3")
    assert {name for _, name in page.evaluate(ROWS)} == set(suspects)
    assert page.locator("[data-part=show] option:checked").inner_text() == "worth a look (3)"
    expect(page.locator(".rv-chips")).to_contain_text("△ worth a look")
    run.save_detection(replace(last, verdict="no_evidence", flagged=nothing, findings=(), suspects=()))
    page = open_page(serve())
    page.wait_for_selector(".rv-row")
    assert page.locator("[data-part=show] option[value=suspects]").is_hidden()
