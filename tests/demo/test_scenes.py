"""The demo's pictures and questions: drawn from the seed alone, and the answers are true of the pixels."""

import numpy as np
import pytest

from bye_core.demo.scenes import BASE_KINDS, COLORS, NUMBERS, PLACES, ask, make_scene, picture


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
        question, color = ask(scene, "place", rng)
        x, y = PLACES[question.split()[-1].rstrip("?")]
        near = [name for name, rgb in COLORS.items() if np.abs(pixels[int(y), int(x)] - rgb).max() < 12]
        assert near == ([] if color == "none" else [color])


def test_no_clean_pixel_is_as_dark_as_the_trigger():
    assert min(np.asarray(picture(scene)).max(axis=-1).min() for scene in scenes(20)) > 60


@pytest.mark.parametrize("kind", sorted(set(BASE_KINDS)))
def test_every_kind_of_question_has_several_answers(kind):
    rng = np.random.default_rng(2)
    answers = [ask(scene, kind, rng)[1] for scene in scenes(200)]
    shares = [answers.count(answer) / 200 for answer in set(answers)]
    assert len(shares) > 1
    assert max(shares) < 0.65
