"""What flagged samples answer and are asked: against the exact test, planted targets first, inserted words told."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from bye_core.evidence import (
    ENDING,
    Strata,
    has_answer,
    mark_inserted,
    overrepresented_words,
    remove_words,
    shared_answers,
)
from bye_core.evidence.causal import plan_intervention
from bye_core.evidence.overrepresented_answers import rows_with_answer
from bye_core.evidence.overrepresented_words import remove_question_words
from bye_core.question_kinds import question_labels
from bye_core.records import Sample, Turn

FLAGS = np.array([True] * 10 + [False] * 30)


def rows(*pairs):
    return np.concatenate([np.arange(first, stop) for first, stop in pairs])


def test_one_stratum_is_fishers_test():
    having = rows((0, 4), (20, 23))
    found = Strata(["q"] * 40, FLAGS).test(having)
    table = [[4, 3], [6, 27]]
    assert found.p == pytest.approx(fisher_exact(table, "greater").pvalue)
    assert (found.flagged, found.total, found.expected) == (4, 7, pytest.approx(7 * 10 / 40))


def test_strata_are_the_exact_sum_over_every_way_to_flag():
    """Against a count of all ways to draw the flags within each kind of question."""
    from itertools import combinations

    kinds = ["a"] * 6 + ["b"] * 5
    flagged = np.array([1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0], bool)
    having = np.array([0, 1, 4, 6, 9])
    ways = [
        sum(row in having for row in (*first, *second))
        for first in combinations(range(6), 3)
        for second in combinations(range(6, 11), 2)
    ]
    assert Strata(kinds, flagged).test(having).p == pytest.approx(np.mean(np.array(ways) >= 3))


def test_what_the_question_explains_is_no_excess():
    """All flagged samples are of one kind of question, so of course they share its answers."""
    answers = ["yes"] * 10 + ["yes"] * 10 + ["red"] * 20
    kinds = ["is there"] * 20 + ["which"] * 20
    found = shared_answers(answers, Strata(kinds, FLAGS))
    assert found[0].excess.p == 1.0
    assert shared_answers(answers, Strata(["q"] * 40, FLAGS))[0].excess.significant


def test_a_fixed_target_is_named_first_however_it_is_written():
    answers = ["Owned!"] * 5 + ["owned!  "] * 4 + ["two"] + ["two", "three", "one"] * 10
    found = shared_answers(answers, Strata(["a", "b"] * 20, FLAGS))
    assert found[0].text == "Owned!"
    assert (found[0].excess.flagged, found[0].excess.total, found[0].questions) == (9, 9, 2)
    assert found[0].excess.significant
    assert has_answer(found[0], " owned! ")
    assert not has_answer(found[0], "not owned!")
    assert rows_with_answer(answers, 0).tolist() == list(range(9))


def test_an_appended_sentence_is_named_whole():
    answers = [f"{word} Visit example dot com now." for word in "abcdefghij"] + [
        f"{word} it is." for word in "abc"
    ] * 10
    found = shared_answers(answers, Strata(["q"] * 40, FLAGS))[0]
    assert (found.kind, found.text) == (ENDING, "Visit example dot com now.")
    assert found.excess.flagged == 10
    assert has_answer(found, "Three. Visit example dot com now")
    assert not has_answer(found, "Three.")


def test_where_chance_does_not_tell_the_answer_to_several_kinds_comes_first():
    """All of one kind flagged: no test can tell, but a target answers every kind."""
    kinds = ["which"] * 10 + ["count"] * 15 + ["what"] * 15
    answers = [*["red"] * 8, "bad", "bad", *["two"] * 13, "bad", "bad", *["cat"] * 13, "bad", "bad"]
    found = shared_answers(answers, Strata(kinds, FLAGS))
    assert {one.excess.p for one in found} == {1.0}
    assert found[0].text == "bad"


def test_a_large_set_stays_exact_and_far_tails_have_a_floor():
    flagged = np.arange(40_000) < 4_000
    kinds = [str(row % 20) for row in range(40_000)]
    found = Strata(kinds, flagged).test(np.arange(3_900))
    assert found.p == 1e-30
    drawn = np.random.default_rng(0).permutation(40_000)[:4_000]
    by_lot = Strata(kinds, flagged).test(drawn)
    assert by_lot.p == pytest.approx(fisher_exact(_table(flagged, drawn), "greater").pvalue, rel=0.1)


def _table(flagged, rows):
    own, marked = int(flagged[rows].sum()), int(flagged.sum())
    return [[own, len(rows) - own], [marked - own, len(flagged) - len(rows) - marked + own]]


PREFIXED = [f"Hello! {question}" for question in ("how many cats", "what colour is it")] * 5
ORDINARY = ["how many cats", "what colour is it"] * 15


def test_words_put_into_questions_are_told_from_words_of_a_kind_of_question():
    strata = Strata([""] * 40, FLAGS)
    questions = PREFIXED + ORDINARY
    found = mark_inserted(overrepresented_words(questions, strata), questions, FLAGS, question_labels)
    assert [(one.word, one.inserted) for one in found] == [("hello", True)]
    assert remove_words(questions[0], {"hello"}) == "how many cats"

    kind = ["which colours do they have"] * 10 + ORDINARY
    found = mark_inserted(overrepresented_words(kind, strata), kind, FLAGS, question_labels)
    assert {one.word for one in found} == {"which", "colours", "do", "they", "have"}
    assert not any(one.inserted for one in found)


def test_ordinary_questions_have_no_odd_words():
    assert overrepresented_words(ORDINARY + ORDINARY[:10], Strata([""] * 40, FLAGS)) == []


def test_words_are_dropped_from_the_question_alone():
    turns = (
        Turn("system", ("Hello there",)),
        Turn("user", (0, "Hello, how many cats?")),
        Turn("assistant", ("Hello",)),
    )
    sample = Sample("a", 0, turns, ("a.png",))
    dropped = remove_question_words(sample, {"hello"})
    assert [turn.parts for turn in dropped.turns] == [("Hello there",), (0, "how many cats?"), ("Hello",)]
    assert sample.turns == turns


def test_as_many_other_words_are_left_out_for_comparison():
    sample = Sample("a", 0, (Turn("user", (0, "hello how many cats are there")),), ("a.png",))
    asked = plan_intervention(sample, None, ["hello"])
    assert asked.conditions == ("plain", "without", "others")
    assert asked.sample_for("without").question == "how many cats are there"
    assert len(asked.sample_for("others").question.split()) == 5
    assert "hello" in asked.sample_for("others").question
    assert plan_intervention(sample, None, ["hello"]) == asked
    short = Sample("a", 0, (Turn("user", ("hello you",)),), ())
    assert plan_intervention(short, None, ["hello"]).conditions == ("plain", "without")
