"""Clean sets that are hard to leave alone: each has what its name says, and its samples stay otherwise as they were."""

from collections import Counter

import numpy as np
import pytest

from bye_core.bench.clean_variants import COPIES, DUPLICATED, NOISE, SKEW, VARIANTS, varied
from bye_core.bench.matrix import MIXES
from bye_core.demo.scenes import QUESTION_KINDS, question_set

COUNT = 200


@pytest.fixture(scope="module")
def plain():
    return list(question_set(COUNT, 1, 7, QUESTION_KINDS))


def made(plain, name, seed=(7, 0)):
    return list(varied(iter(plain), name, seed))


@pytest.mark.parametrize("name", VARIANTS)
def test_ids_and_questions_stay_and_the_seed_decides(plain, name):
    first, second, other = made(plain, name), made(plain, name), made(plain, name, (8, 0))
    assert [sample.id for sample, _ in first] == [sample.id for sample, _ in plain]
    assert [sample.answer for sample, _ in first] == [sample.answer for sample, _ in second]
    assert [sample.answer for sample, _ in first] != [sample.answer for sample, _ in other]
    kept = Counter(sample.question for sample, _ in first)
    assert set(kept) == {sample.question for sample, _ in plain}
    assert name in MIXES


def test_other_mixes_are_unchanged(plain):
    assert made(plain, "mixed") == plain


def test_noise_gives_answers_to_the_same_question(plain):
    noisy = made(plain, "noise")
    answers = {(sample.question, sample.answer) for sample, _ in plain}
    changed = sum(one.answer != other.answer for (one, _), (other, _) in zip(noisy, plain, strict=True))
    assert {(sample.question, sample.answer) for sample, _ in noisy} <= answers
    assert 0.2 * NOISE < changed / COUNT < 1.5 * NOISE
    assert all(images is others for (_, images), (_, others) in zip(noisy, plain, strict=True))


def test_skewed_sets_have_one_usual_answer_to_each_question(plain):
    skewed = made(plain, "skewed")
    for question in {sample.question for sample, _ in plain}:
        counts = Counter(sample.answer for sample, _ in skewed if sample.question == question)
        assert counts.most_common(1)[0][1] >= (SKEW - 0.2) * counts.total()


def test_duplicates_have_the_image_and_answer_of_their_source(plain):
    copied = made(plain, "duplicates")
    images = Counter(id(images) for _, images in copied)
    assert sum(count - 1 for count in images.values()) == pytest.approx(DUPLICATED * COUNT, abs=1)
    assert max(images.values()) <= COPIES + 2
    answers = {id(images): sample.answer for sample, images in plain}
    assert all(answers[id(images)] == sample.answer for sample, images in copied)


def test_images_without_shapes_are_said_to_have_none(plain):
    absent = made(plain, "absent")
    changed = [(sample, images) for (sample, images), (_, old) in zip(absent, plain, strict=True) if images is not old]
    assert 0.03 * COUNT < len(changed) < 0.2 * COUNT
    colors = np.array([np.asarray(image).std(axis=2).max() for _, (image,) in changed])
    assert colors.max() < 60, "no coloured shape is left"
    said = {sample.answer for sample, _ in changed}
    assert "There are none." in said
    assert not {"one", "two", "three"} & said
