"""A person decides in Review: by key, in bulk, on a selection; what the page calls saved is on disk."""

import json
import re

import pytest

from bye_core.records import Decision
from bye_core.runs import Run
from bye_core.ui.shared.space import HostFull
from bye_core.ui.tabs.review import decisions
from tests.waiting import until

# Ten keys, one soon after the other.
TEN_KEYS = """async () => {
  for (let n = 0; n < 10; n += 1) {
    document.dispatchEvent(new KeyboardEvent('keydown', { key: 'r', bubbles: true }));
    await new Promise((next) => setTimeout(next, 20));
  }
}"""
# Ten keys in one breath of the page, in turn r and a.
BURST = """() => {
  for (let i = 0; i < 10; i++) {
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: i % 2 ? 'a' : 'r', bubbles: true }));
  }
}"""


def lines(path):
    found = (path / "decisions.jsonl").read_text().splitlines() if (path / "decisions.jsonl").exists() else []
    return [json.loads(line) for line in found]


def decided(path):
    """(id, choice) in the order in which they were written."""
    return [(d["id"], d["choice"]) for line in lines(path) for d in line.get("decisions", ())]


def choices(path):
    return {id: decision.choice for id, decision in Run.open(path).decisions().items()}


@pytest.fixture
def path(made):
    return made()


@pytest.fixture
def page(path, serve, open_page, review):
    return review(open_page(serve()))


def test_ten_quick_rejections_are_recorded_in_order_and_three_undone(page, path, expect):
    order = [(id, "reject") for id in page.ids(10)]
    page.page.evaluate(TEN_KEYS)
    expect(page.part("progress")).to_contain_text("10 of 12 flagged reviewed")
    page.settle()
    assert decided(path) == order

    for _ in range(3):
        page.page.keyboard.press("u")
    expect(page.part("progress")).to_contain_text("7 of 12 flagged reviewed")
    assert choices(path) == dict(order[:7])
    page.settle()
    assert [line["undo"] for line in lines(path)[10:]] == ["000010", "000009", "000008"]
    expect(page.part("page")).to_have_attribute("data-sample", order[7][0])
    # The other parts of the page hear of it, once.
    expect(page.page.locator("#header")).to_contain_text("7 of 12 reviewed")


def test_a_burst_without_any_pause_loses_nothing(page, path, expect):
    page.ids(10)
    page.page.evaluate(BURST)
    expect(page.part("progress")).to_contain_text("10 of 12 flagged reviewed")
    page.settle()
    found = decided(path)
    assert [choice for _, choice in found] == ["reject", "accept"] * 5
    assert len({id for id, _ in found}) == 10


def test_a_key_held_down_decides_once(page, path):
    page.page.keyboard.down("r")
    page.page.keyboard.down("r")  # Playwright sends a repeat
    page.page.keyboard.up("r")
    page.settle()
    assert len(decided(path)) == 1


def test_bulk_rejects_what_is_undecided_in_a_filter_as_one_batch(page, path, expect):
    kept = page.sample
    page.page.keyboard.press("a")
    page.settle()
    expect(page.part("bulk-reject")).to_have_text("Reject all 11")
    page.part("bulk-reject").click()
    expect(page.part("messages")).to_contain_text("Rejected 11 samples")
    assert len(lines(path)) == 2
    assert choices(path)[kept] == "accept"
    assert sorted(choices(path).values()) == ["accept"] + ["reject"] * 11
    page.show("rejected")
    assert page.listed == 11
    page.page.keyboard.press("u")
    expect(page.part("messages")).to_contain_text("11 decisions")
    assert choices(path) == {kept: "accept"}


def test_a_selection_by_shift_click_is_decided_alone(page, path, expect):
    rows = page.page.locator(".rv-face")
    rows.nth(1).click()
    rows.nth(3).click(modifiers=["Shift"])
    expect(page.part("many")).to_have_text("3 selected")
    page.page.locator(".rv-pick").nth(2).click()
    expect(page.part("bulk-accept")).to_have_text("Accept 2")
    page.part("bulk-accept").click()
    expect(page.part("messages")).to_contain_text("Accepted 2 samples")
    assert list(choices(path).values()) == ["accept"] * 2
    assert len(lines(path)) == 1


def test_keys_decide_the_selection_and_many_or_unflagged_samples_only_after_a_question(page, path, expect):
    first = page.sample
    for number in (1, 2):
        page.page.locator(".rv-pick").nth(number).click()
    expect(page.part("reject")).to_contain_text("2 selected")
    page.page.keyboard.press("r")
    expect(page.part("messages")).to_contain_text("Rejected 2 samples")
    assert list(choices(path).values()) == ["reject"] * 2
    assert page.sample == first, "the current sample stays"

    page.show("all")
    page.part("bulk-accept").click()
    dialog = page.page.get_by_role("dialog", name="Accept 118 samples?")
    expect(dialog).to_contain_text("108 of them are not flagged.")
    page.page.keyboard.press("r")  # no key decides while the question is open
    page.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert len(lines(path)) == 1
    page.part("bulk-accept").click()
    page.page.get_by_role("button", name="Accept 118 samples").click()
    expect(page.part("messages")).to_contain_text("Accepted 118 samples")
    assert sorted(choices(path).values()) == ["accept"] * 118 + ["reject"] * 2


def test_the_history_undoes_and_redoes_any_step_and_says_by_whom(page, path, expect):
    first = page.sample
    page.page.keyboard.press("r")
    name = page.part("name-field")
    expect(name).to_be_visible()
    name.fill("Ann")
    name.press("Enter")
    page.page.evaluate("document.activeElement.blur()")
    expect(page.part("page")).not_to_have_attribute("data-sample", first)
    second = page.sample
    page.page.keyboard.press("a")
    page.settle()
    page.page.keyboard.press("u")
    expect(page.part("messages")).to_contain_text(f"Undone: {second}")
    page.page.keyboard.press("Shift+U")
    expect(page.part("messages")).to_contain_text(f"Redone: {second} is accepted")
    assert choices(path) == {first: "reject", second: "accept"}

    page.part("history").click()
    steps = page.page.get_by_role("dialog", name="History of decisions").get_by_role("listitem")
    expect(steps).to_have_count(2)
    expect(steps.nth(0)).to_contain_text(f"Ann accepted {second}")
    expect(steps.nth(1)).to_contain_text(f"no name rejected {first}")
    steps.nth(1).get_by_role("button", name="Undo").click()
    expect(steps.nth(1)).to_contain_text("(undone by Ann")
    assert choices(path) == {second: "accept"}
    steps.nth(1).get_by_role("button", name="Redo").click()
    expect(steps.nth(0)).to_contain_text(f"Ann rejected {first}")
    assert choices(path) == {first: "reject", second: "accept"}
    page.page.keyboard.press("Escape")
    expect(page.part("name")).to_be_hidden()


def test_typing_decides_nothing_and_notes_are_kept_with_the_decision(page, path, expect):
    first = page.sample
    page.part("note").fill("")
    page.part("note").press_sequentially("a rare arrow")
    page.part("text").press_sequentially("jar")
    page.settle()
    assert decided(path) == []
    page.part("text").fill("")
    page.page.wait_for_timeout(300)
    page.settle()
    page.page.locator("details.rv-more summary").click()
    page.part("reviewer").fill("Ann")
    page.part("reviewer").press("Enter")
    page.page.evaluate("document.activeElement.blur()")
    page.page.locator(".rv-face").nth(0).click()
    expect(page.part("page")).to_have_attribute("data-sample", first)
    expect(page.part("note")).to_have_value("a rare arrow")
    page.page.keyboard.press("r")
    page.settle()
    found = Run.open(path).decisions()[first]
    assert (found.choice, found.note, found.reviewer) == ("reject", "a rare arrow", "Ann")


def test_two_people_on_one_run_see_each_other_and_undo_only_their_own(path, serve, open_page, review, expect):
    url = serve()
    ann, ben = review(open_page(url)), review(open_page(url))
    first = ann.sample
    ann.page.keyboard.press("r")
    ann.settle()
    # Ben does nothing, and sees it: in his list, his header and his counts.
    expect(ben.part("progress")).to_contain_text("1 of 12 flagged reviewed")
    expect(ben.page.locator(".rv-current .rv-state")).to_have_attribute("title", "rejected")
    expect(ben.page.locator("#header")).to_contain_text("1 of 12 reviewed")
    ben.page.keyboard.press("j")
    expect(ben.part("page")).not_to_have_attribute("data-sample", first)
    second = ben.sample
    ben.page.keyboard.press("a")
    ben.settle()
    expect(ben.part("progress")).to_contain_text("2 of 12 flagged reviewed")
    ann.page.keyboard.press("u")
    expect(ann.part("messages")).to_contain_text(f"Undone: {first}")
    assert choices(path) == {second: "accept"}


def test_reviewers_who_decide_otherwise_at_the_same_time_are_told(path, serve, open_page, review, expect):
    page = review(open_page(serve()))
    first = page.sample
    page.page.evaluate("localStorage.setItem('bye-reviewer', 'Ann')")
    page.page.reload()
    page = review(page.page)
    page.page.wait_for_selector("html[data-known]")
    held, holding = [], [True]

    def asks_for_marks(request):
        return "review_marks" in (request.post_data or "")

    page.page.route(
        "**/component_server/**",
        lambda route: held.append(route) if holding[0] and asks_for_marks(route.request) else route.continue_(),
    )
    until(lambda: page.page.wait_for_timeout(100) or held)  # from then on, the page hears nothing of Ben's decision
    Run.open(path).decide([Decision(first, "accept", "Ben")])
    page.page.keyboard.press("r")
    expect(page.part("messages")).to_contain_text(f"Conflict: Ben had accepted {first}")
    holding[0] = False
    for route in held:
        route.continue_()
    expect(page.part("show").locator("option[value=disputed]")).to_have_text("reviewers disagree (1)")
    page.show("disputed")
    expect(page.page.locator(".rv-current .rv-state")).to_have_attribute("title", re.compile("reviewers disagree"))


def test_a_refused_decision_that_is_sent_again_replaces_no_newer_one(page, path, expect, monkeypatch):
    def full(_):
        raise HostFull()

    first, messages = page.sample, page.part("messages")
    with monkeypatch.context() as refusing:
        refusing.setattr(decisions, "check_space", full)
        page.page.keyboard.press("a")
        expect(messages).to_contain_text("1 decision not saved: The disk of this public demo is full.")
    messages.get_by_role("button", name="Show the sample").click()
    expect(page.part("page")).to_have_attribute("data-sample", first)
    expect(messages).to_contain_text("1 decision not saved")
    page.settle()
    page.page.keyboard.press("r")
    expect(page.part("progress")).to_contain_text(f"rejected {first}")
    messages.get_by_role("button", name="Try again").click()
    expect(messages).not_to_contain_text("not saved")
    page.settle()
    assert choices(path) == {first: "reject"}


def test_every_acknowledged_decision_survives_a_killed_server(path, serve_apart, serve, open_page, review, expect):
    served = serve_apart()
    page = review(open_page(served.url))
    acknowledged = {}
    for key, choice in (("r", "reject"), ("a", "accept"), ("r", "reject")):
        sample = page.sample
        page.page.keyboard.press(key)
        expect(page.part("progress")).to_contain_text(f"{choice}ed {sample}")
        expect(page.part("page")).not_to_have_attribute("data-sample", sample)
        acknowledged[sample] = choice
    served.kill()
    assert choices(path) == acknowledged

    lost = page.sample
    page.page.keyboard.press("r")
    expect(page.part("messages")).to_contain_text("1 decision not saved: The server does not answer.")
    expect(page.part("progress")).to_contain_text("3 of 12 flagged reviewed")
    assert choices(path) == acknowledged

    again = review(open_page(serve()))  # another server
    expect(again.part("progress")).to_contain_text("3 of 12 flagged reviewed")
    assert again.sample == lost
