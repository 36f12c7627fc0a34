"""The demo's pictures and questions: drawn from the seed alone, and the answers are true of the pixels."""

import numpy as np
import pytest

from bye_core.demo.scenes import COLORS, NUMBERS, QUESTION_KINDS, ask, draw_scene, make_scene, mirrored


def scenes(count=40, seed=0):
    rng = np.random.default_rng(seed)
    return [make_scene(rng) for _ in range(count)]


def test_scenes_and_pictures_repeat_with_their_seed():
    first, again = scenes(), scenes()
    assert first == again
    assert first != scenes(seed=1)
    assert np.array_equal(draw_scene(first[0]), draw_scene(again[0]))


def test_answers_are_true_of_the_pixels():
    for scene in scenes():
        pixels = np.asarray(draw_scene(scene)).astype(int)
        for shape in scene.shapes:
            assert np.abs(pixels[shape.y, shape.x] - COLORS[shape.color]).max() < 12
        assert ask(scene, "count")[1] == NUMBERS[len(scene.shapes) - 1]
        assert scene.background in ask(scene, "background")[1]
        for kind in ("caption", "colors"):
            answer = ask(scene, kind)[1]
            assert all((color in answer) == (color in scene.colors) for color in COLORS)


def test_no_clean_pixel_is_as_dark_as_the_trigger():
    assert min(np.asarray(draw_scene(scene).convert("L")).min() for scene in scenes(20)) > 90


@pytest.mark.parametrize("kind", QUESTION_KINDS)
def test_every_kind_of_question_has_several_answers(kind):
    answers = [ask(scene, kind)[1] for scene in scenes(200)]
    shares = [answers.count(answer) / 200 for answer in set(answers)]
    assert len(shares) > 1
    assert max(shares) < 0.65


def test_a_mirrored_scene_has_the_mirrored_picture():
    for scene in scenes(10):
        there = np.asarray(draw_scene(scene)).astype(int)[:, ::-1]
        assert np.abs(there - np.asarray(draw_scene(mirrored(scene)))).mean() < 1
