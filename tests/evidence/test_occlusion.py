"""Covering a spot, a spot elsewhere, crops of one size; and what answers to them mean."""

import itertools

import numpy as np
import pytest
from PIL import Image

from bye_core.evidence import (
    LEVELS,
    OTHER_QUESTIONS,
    OUTCOMES,
    WINDOWS,
    AttentionPeak,
    Excess,
    PasteRecipients,
    SharedAnswer,
    SpotTrimming,
    Strata,
    control_spots,
    count_outcomes,
    cover,
    crop,
    crop_size,
    grow_spots,
    hit_shares,
    judge_outcome,
    mean_crop,
    paste,
    plan_intervention,
    regions_at,
)
from bye_core.evidence.occlusion import area, control_boxes
from bye_core.records import Sample, Turn

BOX = (0.25, 0.25, 0.5, 0.5)
TARGET = SharedAnswer("Owned!", "answer", Excess(9, 9, 1.0, 1e-9), 1)


def ramp(width=64, height=48):
    """A picture whose colours change evenly: what a cover should bring back."""
    x, y = np.meshgrid(np.linspace(40, 200, width), np.linspace(30, 120, height))
    return np.dstack([x, y, x / 2 + y / 2])


def picture(values):
    return Image.fromarray(values.round().astype(np.uint8))


def test_a_covered_spot_looks_as_its_surroundings_do_and_nothing_else_changes():
    marked = ramp()
    marked[12:24, 16:32] = 0
    covered = np.asarray(cover(picture(marked), [BOX]), int)
    np.testing.assert_allclose(covered[12:24, 16:32], ramp()[12:24, 16:32], atol=6)
    outside = np.ones((48, 64), bool)
    outside[12:24, 16:32] = False
    assert (covered == np.asarray(picture(marked), int))[outside].all()


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.25, 0.25), (0.75, 0.75, 1.0, 1.0), (0.0, 0.4, 1.0, 0.6)])
def test_a_spot_at_the_border_is_filled_from_its_other_sides(box):
    marked = ramp()
    left, top, right, bottom = (round(edge * size) for edge, size in zip(box, (64, 48, 64, 48), strict=True))
    marked[top:bottom, left:right] = 255
    covered = np.asarray(cover(picture(marked), [box]), int)
    assert covered[top:bottom, left:right].max() < 210


def test_a_spot_that_is_the_whole_picture_becomes_its_mean():
    covered = np.asarray(cover(picture(ramp()), [(0.0, 0.0, 1.0, 1.0)]), int)
    assert np.ptp(covered, axis=(0, 1)).max() == 0


def test_a_spot_elsewhere_is_as_large_does_not_touch_and_is_always_the_same():
    for n in range(50):
        (found,) = control_boxes([BOX], f"s{n}")
        assert (found,) == control_boxes([BOX], f"s{n}")
        left, top, right, bottom = found
        assert (right - left, bottom - top) == pytest.approx((0.25, 0.25))
        assert left >= 0.5 or right <= 0.25 + 1e-9 or top >= 0.5 or bottom <= 0.25 + 1e-9
        assert min(found) >= 0
        assert max(found) <= 1
    assert len({control_boxes([BOX], f"s{n}") for n in range(50)}) > 40


def test_where_hardly_anything_fits_a_corner_does_and_where_nothing_fits_there_is_none():
    third = (1 / 3, 1 / 3, 2 / 3, 2 / 3)
    corners = [pytest.approx(corner) for corner in itertools.product((0.0, 2 / 3), repeat=2)]
    assert control_boxes([third], "a")[0][:2] in corners
    corners = [pytest.approx(corner) for corner in itertools.product((0.0, 0.4), repeat=2)]
    assert control_boxes([(0.2, 0.2, 0.8, 0.8)], "a")[0][:2] in corners
    assert control_boxes([(0.0, 0.0, 1.0, 1.0)], "a") is None


def test_several_spots_elsewhere_touch_neither_the_spots_nor_each_other():
    spots = (BOX, (0.6, 0.6, 0.8, 0.7))
    for n in range(20):
        found = control_boxes(spots, f"s{n}")
        assert [area([one]) for one in found] == pytest.approx([area([one]) for one in spots])
        for one, other in itertools.combinations((*found, *spots), 2):
            assert one[0] >= other[2] or one[2] <= other[0] or one[1] >= other[3] or one[3] <= other[1]


def test_a_pasted_spot_shows_what_the_other_picture_has_there_at_any_size():
    source = np.zeros((24, 32, 3))
    source[6:12, 8:16] = 250
    pasted = np.asarray(paste(picture(ramp()), picture(source), [BOX]), int)
    assert pasted[12:24, 16:32].min() > 240
    outside = np.ones((48, 64), bool)
    outside[12:24, 16:32] = False
    assert (pasted == np.asarray(picture(ramp()), int))[outside].all()


def seen(cell, spot=BOX):
    return AttentionPeak(0, 0, 0, 1, 1, 0.5, cell, spot)


@pytest.mark.parametrize(
    ("cell", "spot", "expected"),
    [
        ((0.7, 0.7, 0.8, 0.8), (0.6, 0.6, 0.9, 0.9), {BOX, (0.6, 0.6, 0.9, 0.9)}),
        ((0.3, 0.4, 0.4, 0.5), BOX, {(0.15, 0.25, 0.5, 0.6)}),
        ((0.6, 0.3, 0.7, 0.4), (0.4, 0.2, 0.8, 0.5), {BOX, (0.4, 0.2, 0.8, 0.5)}),
    ],
    ids=["another", "the same still", "over its edge"],
)
def test_more_is_covered_where_it_looks_next(cell, spot, expected):
    found = grow_spots([BOX], seen(cell, spot))
    assert {tuple(round(edge, 9) for edge in one) for one in found} == expected


@pytest.mark.parametrize(("box", "expected"), [((0.0, 0.5, 0.4, 1.0), (0.0, 0.4, 0.5, 1.0)), ((0, 0, 1, 1), None)])
def test_a_spot_at_the_border_grows_the_other_way(box, expected):
    (found,) = grow_spots([box], seen((box[0], box[3] - 0.1, box[0] + 0.1, box[3])))
    assert found == pytest.approx(expected or box)


def test_spots_that_lie_on_each_other_are_filled_from_what_surrounds_both_and_move_together():
    halves = [(0.25, 0.25, 0.5, 0.5), (0.5, 0.25, 0.75, 0.5)]
    marked = np.full((48, 64, 3), 100.0)
    marked[12:24, 16:48] = 250
    assert np.ptp(np.asarray(cover(picture(marked), halves), int)) == 0
    corner = [(0.2, 0.2, 0.4, 0.4), (0.3, 0.3, 0.5, 0.5)]
    assert area(corner) == pytest.approx(0.07)
    (a, b), (c, d) = corner, control_boxes(corner, "a")
    assert np.subtract(c, a) == pytest.approx(np.subtract(d, b))


@pytest.mark.parametrize("most", [0.2, 0.0])
def test_less_is_covered_as_long_as_that_does_until_it_fits(most):
    """Told that a cover does where it hides two small squares: all spots shrink alike, idle ones go last."""
    needed = [(0.2, 0.2, 0.3, 0.3), (0.6, 0.7, 0.8, 0.8)]
    spots = ((0.1, 0.1, 0.4, 0.4), (0.0, 0.6, 0.3, 0.9), (0.5, 0.5, 1.0, 1.0))
    trimming = SpotTrimming(spots, (0.1, 0.1), lambda left: area(left) <= most)

    def hides(spots, one):
        return any((np.multiply((-1, -1, 1, 1), np.subtract(own, one)) > -1e-6).all() for own in spots)

    while (tried := trimming.proposal) is not None:
        assert tried
        trimming.record(all(hides(tried, one) for one in needed))
    found = trimming.spots
    if most:
        assert len(found) == 3
        assert 0.1 < area(found) <= most < area(spots)
        assert all(hides(found, one) for one in needed)
    else:
        assert [[round(edge, 9) for edge in one] for one in found] == [list(one) for one in needed]
        one_cell = SpotTrimming(((0.1, 0.1, 0.2, 0.2),), (0.1, 0.1), lambda left: False)
        assert one_cell.proposal is None, "one cell is not made smaller"


def test_so_much_that_any_answer_may_leave_is_not_covered():
    assert len(control_spots([BOX], "a")) == 1
    assert control_spots([(0.0, 0.0, 0.7, 0.7)], "a") is None


def test_a_spot_is_pasted_into_unflagged_samples_that_answer_otherwise_of_its_kind_first():
    kinds = ["count"] * 8 + ["colour"] * 4
    answers = ["Owned!", "Owned!", "two", "two", "one", "Owned!", "two", "one", "red", "blue", "red", "Owned!"]
    flagged = np.arange(12) < 2
    ids = [f"s{n}" for n in range(12)]
    carriers = PasteRecipients(ids, answers, kinds, Strata(kinds, flagged), TARGET)
    found = carriers.draw("s0")
    assert found == carriers.draw("s0")
    said = [answers[ids.index(id)] for id in found]
    assert set(said[:2]) == {"one", "two"}, "both other answers to its own kind of question"
    assert said[2] in ("red", "blue")
    assert carriers.draw("s5") == (), "only flagged samples are pasted"
    alone = PasteRecipients(ids[:2], answers[:2], kinds[:2], Strata(kinds[:2], flagged[:2]), None)
    assert alone.draw("s0") == ()


def test_an_answer_that_others_have_too_is_pasted_only_where_something_else_is_asked():
    kinds, answers = ["count"] * 40 + ["colour"] * 4, ["two"] * 20 + ["one", "three"] * 10 + ["red", "blue"] * 2
    flagged, ids = np.arange(44) < 10, [f"s{n}" for n in range(44)]

    def carriers(kept, target=None):
        return PasteRecipients(ids[:kept], answers[:kept], kinds[:kept], Strata(kinds[:kept], flagged[:kept]), target)

    said = {answers[ids.index(id)] for id in carriers(44).draw("s0")}
    assert said == {"red", "blue"}, "of its own kind any picture with two shapes would do"
    assert not carriers(44).one_kind
    for target in (None, SharedAnswer("two", "answer", TARGET.excess, 1)):
        alone = carriers(40, target)
        assert (alone.draw("s0"), alone.one_kind) == ((), True)
    answers[0] = "Owned!"
    assert {answers[ids.index(id)] for id in carriers(40, TARGET).draw("s0")} == {"two", "one", "three"}


@pytest.mark.parametrize(("said", "outcome"), [("Owned!", "flips"), ("two", "content")])
def test_whatever_is_asked_a_trigger_brings_its_target(said, outcome):
    besides = dict.fromkeys(OTHER_QUESTIONS, "Owned!") | {"colors": said, "day": said}
    answers = given("Owned!", "Owned!", "Owned!", wider="one", aside="Owned!", **besides)
    assert judge_outcome(answers, TARGET, "").outcome == outcome
    assert judge_outcome(given("Owned!", "one", "Owned!", **besides), TARGET, "").flips, "one spot is enough"
    words = given("Owned!", without="one", others="Owned!", **dict.fromkeys(OTHER_QUESTIONS, "red"))
    assert judge_outcome(words, TARGET, "").flips
    sample = Sample("a", 0, (Turn("user", (0, "How many?")), Turn("assistant", ("two",))), ("a.png",))
    asked = plan_intervention(sample, None, ()).sample_for("day")
    assert (asked.question, asked.answer) == (OTHER_QUESTIONS["day"], "two")
    assert asked.turns[0].parts[0] == 0, "the picture stays where it is"


def test_parts_of_which_many_windows_bring_the_target_along_are_boxes_the_surest_first():
    inside = [left <= 0.3 < right and top <= 0.6 < bottom for left, top, right, bottom in WINDOWS]
    corner = [left == 0 and top == 0 for left, top, right, bottom in WINDOWS]
    brought = hit_shares(np.array(inside) | np.array(corner))
    assert brought.shape == (8, 8)
    assert brought.max() == brought[4, 2] == brought[0, 0] == 1.0
    for level in LEVELS:
        first, second = regions_at(brought, level)
        assert first[:2] == (0.0, 0.0)
        assert second[0] <= 0.3 <= second[2]
        assert second[1] <= 0.6 <= second[3]
    assert area(regions_at(brought, LEVELS[0])) < area(regions_at(brought, LEVELS[-1]))
    assert regions_at(np.zeros((8, 8)), LEVELS[-1]) == ()


def test_crops_are_of_one_size_around_their_cells_and_their_mean_shows_what_they_share():
    shown = []
    for n, (x, y) in enumerate([(0, 0), (40, 10), (56, 40)]):
        values = np.full((48, 64, 3), 90.0 + 20 * n)
        values[y : y + 8, x : x + 8] = 0
        cell = (x / 64, y / 48, (x + 8) / 64, (y + 8) / 48)
        shown.append(crop(picture(values), cell, crop_size([cell, cell, (0, 0, 0.125, 1 / 6)]), side=32))
    assert {one.size for one in shown} == {(32, 32)}
    mean = np.asarray(mean_crop(shown), int)
    assert mean.max() < 10, "the square alone is in every crop"
    assert mean_crop([]) is None


def test_crops_at_the_border_move_in():
    found = np.asarray(crop(picture(ramp()), (0.9, 0.9, 1.0, 1.0), (0.5, 0.5), side=32), int)
    np.testing.assert_allclose(found[-1, -1], ramp()[-1, -1], atol=4)


def given(plain, covered=None, elsewhere=None, without=None, others=None, **more):
    names = {"plain": plain, "covered": covered, "elsewhere": elsewhere, "without": without, "others": others, **more}
    return {name: text for name, text in names.items() if text is not None}


@pytest.mark.parametrize(
    ("answers", "outcome", "suspect"),
    [
        (given("Owned!", "two", "owned!"), "flips", "spot"),
        (given("Owned!", "two", "three"), "any", "spot"),
        (given("Owned!", "Owned!", "Owned!"), "stays", "spot"),
        (given("two", "three", "two"), "off", ""),
        (given("Owned!"), "unknown", ""),
        (given("Owned!", "two"), "unknown", ""),
        (given("Owned!", "Owned!", "Owned!", "two", "Owned!"), "flips", "words"),
        (given("Owned!", "two", "two", "two", "Owned!"), "flips", "words"),
        (given("Owned!", "two", "Owned!", "two", "Owned!"), "flips", "spot"),
        (given("Owned!", "Owned!", "Owned!", wider="two", aside="Owned!"), "flips", "spots"),
        (given("Owned!", "Owned!", "Owned!", wider="two", aside="two"), "any", "spots"),
        (given("Owned!", "Owned!", "Owned!", wider="Owned!"), "stays", "spot"),
        ({}, "unknown", ""),
    ],
)
def test_what_answers_mean(answers, outcome, suspect):
    found = judge_outcome(answers, TARGET, "two")
    assert (found.outcome, found.suspect) == (outcome, suspect)
    assert "{" not in found.sentence


def test_what_brings_the_target_into_no_other_picture_may_be_what_is_asked_about():
    flips = given("Owned!", "two", "Owned!")
    assert judge_outcome(flips, TARGET, "", {"a": "Owned!", "b": "one"}).flips
    assert judge_outcome(flips, TARGET, "", {"a": "Owned!", "b": "one", "c": "one"}).outcome == "content"
    words = given("Owned!", without="two", others="Owned!")
    assert judge_outcome(words, TARGET, "", {"a": "one"}).flips, "words are not pasted"


def test_without_a_common_target_the_samples_own_answer_counts():
    assert judge_outcome(given("A cat.", "a dog", "a cat"), None, "a cat").flips
    assert judge_outcome(given("a dog", "a cat", "a dog"), None, "a cat").outcome == "off"


def test_outcomes_are_counted():
    found = count_outcomes(judge_outcome(one, TARGET, "") for one in (given("Owned!", "two", "Owned!"), given("two")))
    assert found == {"checked": 2, **dict.fromkeys(OUTCOMES, 0), "flips": 1, "off": 1}


def test_the_key_changes_with_all_that_a_check_depends_on():
    sample = Sample("a", 0, (Turn("user", (0, "what is it")),), ("a.png",))
    asked = plan_intervention(sample, AttentionPeak(0, 0, 0, 1, 1, 0.5, (0.3, 0.3, 0.4, 0.4), BOX), [])
    carried = plan_intervention(sample, AttentionPeak(0, 0, 0, 1, 1, 0.5, (0.3, 0.3, 0.4, 0.4), BOX), [], ("b",))
    assert carried.key(TARGET, "m", "a") == asked.key(TARGET, "m", "a"), "one more flag leaves what was asked"
    other = plan_intervention(
        sample, AttentionPeak(1, 0, 0, 1, 1, 0.5, (0.3, 0.3, 0.4, 0.4), (0.25, 0.25, 0.5, 0.6)), []
    )
    keys = {
        asked.key(TARGET, "m", "a"),
        other.key(TARGET, "m", "a"),
        asked.key(None, "m", "a"),
        asked.key(TARGET, "m", None),
    }
    assert len(keys) == 4
    assert asked.key(TARGET, "m", "a") == asked.key(TARGET, "m", "a")


def test_only_the_picture_that_is_looked_at_is_covered():
    sample = Sample("a", 0, (Turn("user", (0, 1, "what is it")),), ("a.png", "b.png"))
    asked = plan_intervention(sample, AttentionPeak(0, 1, 1, 1, 1, 0.5, (0.3, 0.3, 0.4, 0.4), BOX), [])
    marked = ramp()
    marked[12:24, 16:32] = 0
    first, second = asked.images_for("covered", [picture(marked), picture(marked)])
    assert np.asarray(first)[14, 18].max() == 0
    assert np.asarray(second)[14, 18].max() > 30
    assert all(np.asarray(one)[14, 18].max() == 0 for one in asked.images_for("plain", [picture(marked)] * 2))
