"""The demo's pictures and questions: drawn from the seed alone, and the answers are true of the pixels."""

from collections import Counter

import numpy as np
import pytest

from bye_core.demo.free_questions import MOST_REPEATS, TOPICS, FreeQuestions
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


@pytest.mark.parametrize("count", [600, 2000])
def test_free_questions_hardly_repeat(count):
    asked = FreeQuestions(1)
    questions = Counter(asked.ask(scene, TOPICS[k % len(TOPICS)])[0] for k, scene in enumerate(scenes(count)))
    assert len(questions) >= 400
    assert max(questions.values()) <= MOST_REPEATS
    assert not any(mark in question for question in questions for mark in ("{", "  ", " a orange"))


def test_answers_to_free_questions_are_true_of_the_scene():
    asked, answers = FreeQuestions(2), Counter()
    for scene in scenes(200):
        for topic in TOPICS:
            question, answer = asked.ask(scene, topic)
            if topic == "presence":
                (color,) = [color for color in COLORS if color in question]
                assert answer == ("yes" if color in scene.colors else "no")
                answers[answer] += 1
            else:
                assert answer == ask(scene, topic)[1]
    assert min(answers.values()) > 60
    assert FreeQuestions(2).ask(scene, "count") == FreeQuestions(2).ask(scene, "count")
