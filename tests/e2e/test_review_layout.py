"""Review fits the window: the current row, the image, the texts and the buttons are visible together at every size."""

import re

import pytest

SIZES = [(1280, 900), (1440, 900), (1920, 1080), (420, 900)]
STEPS = """(count) => {
  for (let n = 0; n < count; n += 1)
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'j', bubbles: true }));
}"""
SHOWN = """(id) => document.querySelector('[data-part=page]').dataset.sample === id
  && document.querySelector('.rv-main .rv-picture')?.alt.startsWith(id)
  && document.querySelector('.rv-current .rv-id')?.textContent === id"""
# The names of the parts that are not on the screen as a whole, or that lie under something else.
HIDDEN = """() => {
  const parts = {
    row: '.rv-current', picture: '.rv-main .rv-picture', question: '.rv-texts dd', answer: '.rv-answer',
    accept: '[data-part=accept]', reject: '[data-part=reject]', next: '[data-part=next]',
  };
  const hidden = ([, selector]) => {
    const found = document.querySelector(selector);
    const box = found.getBoundingClientRect();
    if (box.width < 8 || box.left < 0 || box.right > innerWidth + 0.5) return true;
    return [box.top + 2, box.bottom - 2].some((y) => {
      const above = document.elementFromPoint((box.left + box.right) / 2, y);
      return !above || !(found.contains(above) || found.parentElement.contains(above));
    });
  };
  return [scrollY, ...Object.entries(parts).filter(hidden).map(([name]) => name)];
}"""


@pytest.fixture
def page(made, serve, open_page, review):
    made(samples=400, rate=0.3, layers=12, side=6)
    return review(open_page(serve(), viewport={"width": 1280, "height": 900}))


def picture(page):
    return page.page.locator(".rv-main .rv-picture").bounding_box()


def test_everything_that_a_decision_needs_is_visible_after_any_number_of_steps(page):
    for width, height in SIZES:
        page.page.set_viewport_size({"width": width, "height": height})
        page.part("sort").evaluate("(field) => { field.value = 'file'; field.dispatchEvent(new Event('change')); }")
        page.settle()
        page.page.locator(".rv-row").first.wait_for()
        at = int(page.part("count").inner_text().split(" ")[0])
        page.page.evaluate(STEPS.replace("'j'", "'k'"), at)
        reached = 1
        for number in (1, 20, 100):
            page.page.evaluate(STEPS, number + 1 - reached)
            reached = number + 1
            page.page.wait_for_function(
                "(number) => document.querySelector('.rv-current')?.getAttribute('aria-posinset') === number"
                " && document.querySelector('.rv-current .rv-id').textContent",
                arg=str(reached),
            )
            page.page.wait_for_function(SHOWN, arg=page.page.locator(".rv-current .rv-id").inner_text())
            assert page.page.evaluate(HIDDEN) == [0], f"{width}x{height} after {number} steps"
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width


def test_adjust_leaves_the_picture_its_size_and_a_phone_opens_the_queue_on_demand(page, expect):
    before = picture(page)
    page.page.get_by_role("button", name="Adjust: method, layers, cut-off").click()
    expect(page.part("page")).to_have_attribute("data-fit", "medium")
    expect(page.page.locator(".sidebar")).to_have_class(re.compile("open"))
    page.page.wait_for_function(
        "(width) => document.querySelector('.rv-main').clientWidth >= width", arg=before["width"]
    )
    assert picture(page)["width"] >= 0.8 * before["width"]
    page.page.get_by_role("button", name="Adjust: method, layers, cut-off").click()

    page.page.set_viewport_size({"width": 420, "height": 900})
    expect(page.part("page")).to_have_attribute("data-fit", "narrow")
    expect(page.part("show")).to_be_hidden()
    page.part("unfold").click()
    expect(page.part("show")).to_be_visible()
    assert page.page.locator(".rv-row:visible").count() > 3
    page.page.keyboard.press("Escape")
    expect(page.part("show")).to_be_hidden()
    page.part("unfold").click()
    page.page.locator(".rv-face").nth(2).click()
    expect(page.part("show")).to_be_hidden()
    expect(page.part("count")).to_have_text("3 of 120")
