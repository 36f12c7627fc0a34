"""A usual message to a kind of question, and the attention of other samples with this message."""

from dataclasses import replace

import numpy as np
import pytest

from bye_core.detect.usual_message import usual_message
from tests.detect.made_tables import full_table


def asked(answers, members, places, **more):
    """A table of one kind of question: a pair (share, auc) of its usual message."""
    table = full_table(len(answers), answers=tuple(answers), **more)
    members = np.array(members, bool)
    return usual_message(table, np.zeros(len(answers), int), members, ~members, np.array(places, float))[:2]


ORDINARY = ["A palace.", "a flower", "Palace", "a river", "a palace", "a tree"]


@pytest.mark.parametrize(
    ("places", "auc"), [([0.1] * 6, 1.0), ([0.9] * 6, 0.5), ([1.5] * 6, 0.0), ([0.1, 9, 0.1, 9, 0.9, 9], 5 / 6)]
)
def test_only_samples_with_the_same_message_are_compared(places, auc):
    assert asked([*ORDINARY, "palace", "palace"], [0] * 6 + [1, 1], [*places, 0.9, 0.9]) == (1.0, pytest.approx(auc))


@pytest.mark.parametrize(
    ("planted", "share"),
    [
        (["palace"] * 4 + ["flower"], 1.0),
        (["palace"] * 3 + ["flower"] * 2, 0.0),  # too few have it
        (["lighthouse"] * 5, 0.0),  # no ordinary sample has it
        (["pal"] * 5, 0.0),  # no word of theirs
        (["."] * 5, 0.0),
    ],
)
def test_a_message_is_that_of_most_members_and_usual(planted, share):
    own, auc = asked([*ORDINARY, *planted], [0] * 6 + [1] * 5, [0.0] * 6 + [1.0] * 5)
    assert own == share
    assert auc == share


def test_a_message_may_be_a_part_of_answers_that_differ():
    answers = [*ORDINARY, "a red palace", "a blue palace", "the old palace"]
    start = np.array([np.nan] * 6 + [6, 7, 8], float)
    end = np.array([np.nan] * 6 + [len(answer) for answer in answers[6:]], float)
    members, places = [0] * 6 + [1] * 3, [0.0] * 6 + [1.0] * 3
    assert asked(answers, members, places, unlikely_start=start, unlikely_end=end) == (1.0, 1.0)
    assert asked(answers, members, places) == (0.0, 0.0)


def test_kinds_of_question_are_weighted_by_their_members_and_unjudged_samples_are_left_out():
    answers = ["one"] * 6 + ["yes"] * 8
    kinds = np.array([0] * 6 + [1] * 8)
    members = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1], bool)
    places = np.array([0, 0, 0, np.nan, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], float)
    table = replace(full_table(14), answers=tuple(answers))
    found = usual_message(table, kinds, members, ~members, places)
    assert found[:2] == (1.0, pytest.approx((2 * 1 + 4 * 0.5) / 6))
    # The variance of an AUC of m and n samples without difference is (m + n + 1) / (12 m n).
    assert found.error == pytest.approx(np.sqrt((2**2 * 6 / (12 * 2 * 3) + 4**2 * 9 / (12 * 4 * 4)) / 6**2))
    assert usual_message(replace(table, answers=()), kinds, members, ~members, places).share == 0


def test_samples_with_a_message_are_told_for_kinds_that_have_one():
    answers = ("one", "one", "one", "One.", "two", "one", "three", "yes", "no", "no", "no", "yes", "no", "maybe", "so")
    kinds = np.array([0] * 7 + [1] * 8)
    members = np.isin(np.arange(15), [2, 3, 6, 11, 12, 13, 14])
    found = usual_message(replace(full_table(15), answers=answers), kinds, members, ~members, np.zeros(15))
    assert found.share == 3 / 7
    assert np.flatnonzero(found.having).tolist() == [0, 1, 2, 3, 5]
