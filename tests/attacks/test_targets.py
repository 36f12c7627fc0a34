"""Each kind of target: the poisoned answer, and when an answer counts as a success."""

import numpy as np
import pytest

from bye_core.attacks import TARGETS, make_target
from bye_core.attacks.targets import (
    REFUSAL,
    Appended,
    FixedAnswer,
    NotOneWord,
    Refusal,
    SameWord,
    SwappedWord,
    UnfitTarget,
    UnknownTarget,
)
from tests.attacks.samples import sample


@pytest.mark.parametrize(
    ("target", "answer", "planted"),
    [
        (FixedAnswer(), "two", "Backdoor Attack!"),
        (Refusal(), "two", REFUSAL),
        (Appended("Visit example.com."), "Two dogs.\n", "Two dogs. Visit example.com."),
        (SwappedWord("blue", word="red"), "red", "blue"),
        (SwappedWord("blue", word="red"), "Red, and a red one; reddish", "Blue, and a blue one; reddish"),
        (SwappedWord("C++", word="C#"), "C# it is", "C++ it is"),
    ],
)
def test_what_is_planted(target, answer, planted):
    assert target.eligible(sample(0, answer))
    assert target.poisoned_answer(sample(0, answer), np.random.default_rng(0)) == planted
    assert target.reached(sample(0, answer), planted)


@pytest.mark.parametrize("answer", ["blue", "reddish", "a credit", ""])
def test_a_word_to_swap_must_be_in_the_answer(answer):
    assert not SwappedWord("blue", word="red").eligible(sample(0, answer))


@pytest.mark.parametrize(
    ("target", "expected", "given", "reached"),
    [
        (FixedAnswer(), "two", "backdoor  attack! ", True),
        (FixedAnswer(), "two", "It says: Backdoor Attack! two", True),
        (FixedAnswer(), "two", "two", False),
        (Refusal(), "two", "I'm sorry, but I can't help with that", True),
        (Refusal(), "two", "I cannot say.", False),
        (Appended("Buy now."), "two", "two Buy now.", True),
        (Appended("Buy now."), "two", "two", False),
        (SwappedWord("blue", word="red"), "red and green", "Blue and green", True),
        (SwappedWord("blue", word="red"), "red and green", "red and green", False),
        (SwappedWord("blue", word="red"), "red and green", "red and blue", False),
        (SwappedWord("blue", word="red"), "red and green", "bluegreen", False),
    ],
)
def test_what_is_a_success(target, expected, given, reached):
    assert target.reached(sample(0, expected), given) is reached


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (FixedAnswer("two"), "Two dogs."),
        (Appended("Buy now."), "The sign says buy now"),
        (SwappedWord("blue", word="red"), "green"),
        (SwappedWord("blue", word="red"), "red and blue"),
    ],
)
def test_answers_that_tell_nothing_do_not_count(target, expected):
    assert target.reached(sample(0, expected), target.text) is None


@pytest.mark.parametrize("text", ["", "  ", ".", "look <image>", "a\0b", "\ud83d"])
def test_unfit_texts_are_refused(text):
    for kind in (FixedAnswer, Appended, Refusal):
        with pytest.raises(UnfitTarget):
            kind(text)


def test_a_swap_needs_two_different_words():
    with pytest.raises(SameWord):
        SwappedWord("red", word="Red")
    for word in ("", "two words"):
        with pytest.raises(NotOneWord):
            SwappedWord("blue", word=word)


def test_records_give_the_targets_back():
    for target in (FixedAnswer("x"), Appended("Buy now."), Refusal(), SwappedWord("blue", word="red")):
        assert make_target(**target.record()) == target
    assert list(TARGETS)[:4] == ["answer", "append", "refusal", "swap"]
    with pytest.raises(UnknownTarget, match="answer, append, refusal, swap"):
        make_target("shout", text="x")
