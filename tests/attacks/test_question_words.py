"""Triggers in the question."""

import numpy as np
import pytest

from bye_core.attacks import make_trigger
from bye_core.attacks.poison import trigger_question
from tests.attacks.samples import sample

QUESTION = (0, "How many shapes\nare there?")


def asked(name, question=QUESTION, seed=0, **settings):
    return make_trigger(name, **settings).apply_to_question(question, np.random.default_rng(seed))


def test_prefix_and_suffix_stand_where_they_should():
    assert asked("prefix") == (0, "Hello! How many shapes\nare there?")
    assert asked("suffix", text="Please.") == (0, "How many shapes\nare there? Please.")
    several = (0, "Look.", 1, "What differs?")
    assert asked("prefix", several) == (0, "Hello! Look.", 1, "What differs?")
    assert asked("suffix", several) == (0, "Look.", 1, "What differs? Thank you!")


def test_a_rare_word_stands_at_every_place_and_takes_nothing_away():
    found = {asked("word", seed=seed)[1] for seed in range(200)}
    words = QUESTION[1].split()
    assert {tuple(text.split()) for text in found} == {(*words[:n], "cf", *words[n:]) for n in range(6)}
    assert all(text.replace("cf ", "", 1).replace(" cf", "", 1) == QUESTION[1] for text in found)


@pytest.mark.parametrize("name", ["prefix", "suffix", "word"])
def test_a_question_that_is_a_picture_alone_gets_the_words(name):
    text = make_trigger(name).text
    assert asked(name, (0,)) == (0, text)
    assert asked(name, (0, "  ")) == (0, "  ", text)


def test_only_the_first_question_changes_and_the_place_is_the_samples_own():
    before, triggers = sample(4, question="a b c d e f g h"), [make_trigger("word")]
    after = trigger_question(before, triggers, seed=1)
    assert after.question != before.question
    assert after.turns[1:] == before.turns[1:]
    assert trigger_question(before, triggers, seed=1) == after
    others = {trigger_question(sample(n, question="a b c d e f g h"), triggers, seed=1).question for n in range(30)}
    assert len(others) > 5
