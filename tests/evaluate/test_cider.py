"""CIDEr-D against the values of its authors' scorer (pycocoevalcap 1.2, cider_scorer.py, on the same words)."""

import numpy as np
import pytest

from bye_core.evaluate.cider import cider, words

GIVEN = [
    "a man rides a brown horse on the beach",
    "two dogs play in the snow",
    "a red bus",
    "a cat sleeps on a sofa and a dog sleeps on a sofa near the cat",
    "",
]
REFERENCES = [
    ["a man riding a horse on a beach", "a person rides a brown horse along the beach"],
    ["two dogs are playing in the snow"],
    ["a red double decker bus drives down the street", "a red bus on a street", "a bus"],
    ["a cat sleeps on a sofa"],
    ["a plate of food on a table"],
]


def test_the_values_of_the_authors_scorer():
    assert cider(GIVEN, REFERENCES) == pytest.approx([3.29527892, 3.71416146, 2.46545242, 1.15381777, 0.0], abs=1e-8)


def test_the_right_caption_has_ten_and_what_all_say_weighs_nothing():
    texts = ["one two three four five", "six seven eight nine ten"]
    assert cider(texts, [[text] for text in texts]) == pytest.approx([10, 10])
    assert np.array_equal(cider(["same"] * 2, [["same"]] * 2), [0, 0])
    assert np.array_equal(cider(["alone"], [["alone"]]), [0])


def test_words_have_no_case_and_no_punctuation():
    assert words("A red, ROUND ball; it's John’s 2nd.") == ["a", "red", "round", "ball", "it's", "john’s", "2nd"]
