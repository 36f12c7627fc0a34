"""The preview of a sample before and after poisoning."""

import math

import numpy as np
import pytest

from bye_core.attacks import make_attack
from bye_core.attacks.poison import poison_sample
from bye_core.attacks.preview import MOST_GAIN, difference, preview
from bye_core.attacks.targets import SwappedWord
from bye_core.data.llava_set import encode_and_decode
from tests.attacks.samples import grey, sample, scene


def test_the_difference_shows_small_changes_and_says_how_much_it_amplifies():
    before = grey((20, 10))
    after = before.copy()
    after.putpixel((3, 4), (138, 118, 128))
    shown, gain = difference(before, after)
    assert gain == pytest.approx(12.7)
    assert shown.getpixel((3, 4)) == (255, 1, 128)
    assert shown.getpixel((0, 0)) == (128, 128, 128)
    after.putpixel((3, 4), (129, 128, 128))
    assert difference(before, after)[1] == MOST_GAIN
    assert difference(before, before)[1] == 1


def test_a_preview_is_what_planting_gives():
    attack, picture = make_attack(["prefix", "patch", "wanet"]), scene((96, 64))
    seen = preview(sample(7), [picture], attack, seed=2)
    poisoned, [triggered], boxes = poison_sample(sample(7), [picture], attack.triggers, attack.target, seed=2)
    assert np.array_equal(np.asarray(seen.triggered), np.asarray(triggered))
    assert seen.boxes == tuple(boxes)
    assert seen.questions == ("How many?", poisoned.question)
    assert seen.answers == ("two", "Backdoor Attack!")
    assert seen.eligible
    assert 15 < seen.psnr < 40


def test_a_preview_shows_both_pictures_as_files_have_them():
    seen = preview(sample(0), [scene((64, 64))], make_attack(["sig"]), 0, encode=lambda p: encode_and_decode(p, "jpeg"))
    assert np.array_equal(np.asarray(seen.original), np.asarray(encode_and_decode(scene((64, 64)), "jpeg")))


def test_triggers_take_turns_in_previews_of_a_mix():
    attack = make_attack(["patch", "prefix"], mix=True)
    first, second = (preview(sample(0), [grey((64, 64))], attack, 0, turn) for turn in (0, 1))
    assert (len(first.boxes), first.questions[1]) == (1, "How many?")
    assert (len(second.boxes), second.questions[1]) == (0, "Hello! How many?")
    assert second.psnr == math.inf


def test_samples_without_a_picture_or_without_the_word_are_shown_as_such():
    seen = preview(sample(0, images=()), [], make_attack(["prefix"], target=SwappedWord("b", word="a")), 0)
    assert seen.original is None
    assert not seen.eligible
    assert seen.answers == ("two", "two")
