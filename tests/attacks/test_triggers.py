"""Each trigger: what changes, where, how much; and how many samples are poisoned."""

import numpy as np
import pytest
from PIL import Image

from bye_core.attacks import TRIGGERS, BadTriggerSize, UnknownTrigger, make_trigger
from bye_core.attacks.poison import BadPoisonRate, choose, plant
from bye_core.records import Sample, Turn

WIDE, TALL = (320, 160), (96, 224)


def grey(size):
    return Image.new("RGB", size, (128, 128, 128))


def changed(picture, size):
    return np.any(np.asarray(picture) != 128, axis=-1)


def sample(index, answer="two"):
    turns = (
        Turn("user", (0, "How many?")),
        Turn("assistant", (answer,)),
        Turn("user", ("And now?",)),
        Turn("assistant", ("three",)),
    )
    return Sample(id=f"s{index}", index=index, turns=turns, images=("a.png",))


@pytest.mark.parametrize("size", [WIDE, TALL])
@pytest.mark.parametrize("name", TRIGGERS)
def test_only_the_boxes_change_and_they_lie_inside(name, size):
    rng = np.random.default_rng(3)
    original = grey(size)
    triggered, boxes = make_trigger(name).apply(original, rng)
    inside = np.zeros(size[::-1], bool)
    for left, top, right, bottom in boxes:
        assert (right - left, bottom - top) == (min(size) // 16, min(size) // 16)
        assert left >= 0
        assert right <= size[0]
        assert top >= 0
        assert bottom <= size[1]
        inside[top:bottom, left:right] = True
    assert np.array_equal(changed(triggered, size), inside)
    assert not changed(original, size).any(), "the original must stay as it was"


def test_default_patch_is_black_at_the_centre():
    triggered, boxes = make_trigger("patch").apply(grey(WIDE), np.random.default_rng(0))
    assert boxes == [(155, 75, 165, 85)]
    assert np.asarray(triggered)[75:85, 155:165].max() == 0


def test_size_is_a_fraction_of_the_shorter_side():
    _, boxes = make_trigger("patch", size=1 / 8).apply(grey((224, 448)), np.random.default_rng(0))
    assert boxes == [(98, 210, 126, 238)]


def test_checkerboard_is_half_black_half_white():
    triggered, [(left, top, right, bottom)] = make_trigger("checkerboard", 1 / 8).apply(grey((224, 224)), None)
    fields = np.asarray(triggered)[top:bottom, left:right, 0]
    assert set(np.unique(fields)) == {0, 255}
    assert (fields == 0).mean() == pytest.approx(0.5)
    assert fields[0, 0] != fields[0, 7]


def test_dual_is_symmetric():
    _, boxes = make_trigger("dual").apply(grey(WIDE), np.random.default_rng(0))
    (left, top, right, bottom), other = boxes
    assert other == (320 - right, top, 320 - left, bottom)


def test_random_and_multi_vary_and_repeat_with_their_seed():
    for name in ("random", "multi"):
        trigger = make_trigger(name)
        drawn = [tuple(trigger.apply(grey(WIDE), np.random.default_rng(seed))[1]) for seed in range(20)]
        again = [tuple(trigger.apply(grey(WIDE), np.random.default_rng(seed))[1]) for seed in range(20)]
        assert drawn == again
        assert len(set(drawn)) > 10
    assert {len(boxes) for boxes in drawn} == {2, 3, 4, 5}


def test_bad_names_and_sizes_say_what_is_allowed():
    with pytest.raises(UnknownTrigger, match="patch, random, checkerboard, dual, multi"):
        make_trigger("sticker")
    for size in (0, -1, 1.5, float("nan")):
        with pytest.raises(BadTriggerSize):
            make_trigger("patch", size=size)


@pytest.mark.parametrize(("rate", "count"), [(0, 0), (0.1, 20), (0.333, 67), (1, 200)])
def test_planted_count_is_exact(rate, count):
    samples = [sample(i) for i in range(200)]
    chosen = choose(samples, rate, seed=5)
    assert len(chosen) == count
    assert chosen == choose(samples, rate, seed=5)
    if 0 < count < 200:
        assert chosen != choose(samples, rate, seed=6)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_bad_rate(rate):
    with pytest.raises(BadPoisonRate):
        choose([sample(0)], rate, seed=0)


def test_plant_changes_first_answer_and_first_picture_only():
    pictures = [grey(WIDE), grey(TALL)]
    poisoned, triggered, boxes = plant(sample(4), pictures, make_trigger("random"), "Backdoor Attack!", seed=1)
    assert poisoned.answer == "Backdoor Attack!"
    assert poisoned.turns[3].text == "three"
    assert poisoned.question == "How many?"
    assert triggered[1] is pictures[1]
    assert len(boxes) == 1
    assert plant(sample(4), pictures, make_trigger("random"), "x", seed=1)[2] == boxes
    assert plant(sample(5), pictures, make_trigger("random"), "x", seed=1)[2] != boxes
