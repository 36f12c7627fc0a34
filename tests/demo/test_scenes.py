"""The demo's pictures and questions: drawn from the seed alone, and the answers are true of the pixels."""

import numpy as np
import pytest

from bye_core.demo.scenes import BASE_KINDS, COLORS, NUMBERS, ask, make_scene, mirrored, picture


def scenes(count=40, seed=0):
    rng = np.random.default_rng(seed)
    return [make_scene(rng) for _ in range(count)]


def test_scenes_and_pictures_repeat_with_their_seed():
    first, again = scenes(), scenes()
    assert first == again
    assert first != scenes(seed=1)
    assert np.array_equal(picture(first[0]), picture(again[0]))


def test_answers_are_true_of_the_pixels():
    rng = np.random.default_rng(1)
    for scene in scenes():
        pixels = np.asarray(picture(scene)).astype(int)
        for shape in scene.shapes:
            assert np.abs(pixels[shape.y, shape.x] - COLORS[shape.color]).max() < 12
        assert ask(scene, "count", rng)[1] == NUMBERS[len(scene.shapes) - 1]
        question, answer = ask(scene, "presence", rng)
        assert (answer == "yes") == any(color in question for color in scene.colors)
        caption = ask(scene, "caption", rng)[1]
        assert all((color in caption) == (color in scene.colors) for color in COLORS)


def test_no_clean_pixel_is_as_dark_as_the_trigger():
    assert min(np.asarray(picture(scene).convert("L")).min() for scene in scenes(20)) > 90


@pytest.mark.parametrize("kind", sorted(set(BASE_KINDS)))
def test_every_kind_of_question_has_several_answers(kind):
    rng = np.random.default_rng(2)
    answers = [ask(scene, kind, rng)[1] for scene in scenes(200)]
    shares = [answers.count(answer) / 200 for answer in set(answers)]
    assert len(shares) > 1
    assert max(shares) < 0.65


def test_a_mirrored_scene_has_the_mirrored_picture():
    for scene in scenes(10):
        there = np.asarray(picture(scene)).astype(int)[:, ::-1]
        assert np.abs(there - np.asarray(picture(mirrored(scene)))).mean() < 1
