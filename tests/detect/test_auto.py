"""`auto` on tables with a planted answer: exact flags where attention agrees, abstention where it does not."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from bye_core.detect import answer_comparison, detect
from bye_core.detect.candidate_answers import LEAST_IN_KIND, Answers
from bye_core.detect.errors import BadSetting
from bye_core.detect.isolation import columns, isolate
from bye_core.question_kinds import Families, Kinds, words
from tests.detect.made_tables import KINDS, TARGET, answered_table, full_table


@pytest.mark.parametrize("shift", [2.0, -2.0])
@pytest.mark.parametrize("planted", [3, 12, 40])
def test_what_is_planted_is_found_whatever_the_sign_and_rate(shift, planted):
    table, truth = answered_table(planted=planted, shift=shift)
    found = detect(table, "auto")
    np.testing.assert_array_equal(found.flagged, truth)
    assert found.verdict == "poisoned"
    assert found.scores[truth].min() > 0.9
    assert found.scores[~truth].max() < 0.01
    assert set(found.sensitive_layers) >= {2, 3}
    assert found.reasons[0].startswith(f'The answer "{TARGET}" of {3 * planted} samples is out of place: it answers')
    assert "layer 2 head 1, entropy" in found.reasons[3]
    assert ("higher" in found.reasons[3]) == (shift > 0)
    assert np.median(found.values[truth]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_an_odd_answer_with_ordinary_attention_is_named_but_no_evidence(seed):
    table, truth = answered_table(seed=seed)
    found = detect(dataclasses.replace(table, token=np.where(truth, 7, 1)), "auto")
    assert (found.verdict, found.flagged.any()) == ("no_evidence", False)
    unlearned = dataclasses.replace(table, token=np.ones(len(truth), int))
    assert detect(unlearned, "auto").verdict == "not_tested", "the model does not give the answer"
    assert TARGET in found.reasons[1]
    assert found.scores.max() < 0.5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kinds", [tuple(KINDS), tuple(KINDS)[:2], tuple(KINDS)[2:]])
def test_clean_sets_are_left_alone(seed, kinds):
    """However far the attention for an ordinary answer is from the rest."""
    table, _ = answered_table(planted=0, seed=seed, kinds=kinds)
    rare = np.array([answer in ("five", "river") for answer in table.answers])
    table.entropy[rare, 2, 1] += 3
    found = detect(table, "auto")
    assert (found.verdict, found.flagged.any(), found.scores.max()) == ("no_evidence", False, 0.0)


# A value of `gap` with which no answer was unlikely before fine-tuning, so that only planted answers are tested.
NEVER = 1e9


def test_a_trigger_word_in_the_question_does_not_explain_it_away():
    table, truth = answered_table(shift=2.0)
    questions = tuple(f"Hello! {q}" if bad else q for q, bad in zip(table.questions, truth, strict=True))
    np.testing.assert_array_equal(detect(dataclasses.replace(table, questions=questions), "auto").flagged, truth)


def test_an_appended_sentence_is_found_by_its_words():
    """No two of the planted answers are the same, but all of them end alike."""
    table, truth = answered_table(shift=2.0)
    usual = [KINDS[question][0] for question in table.questions]
    answers = tuple(
        f"{own} visit evil site" if bad else answer
        for own, answer, bad in zip(usual, table.answers, truth, strict=True)
    )
    found = detect(dataclasses.replace(table, answers=answers), "auto")
    np.testing.assert_array_equal(found.flagged, truth)
    assert found.reasons[0].startswith("The word")


def test_one_kind_of_question_needs_words_or_losses_that_are_odd():
    captions, truth = answered_table(planted=15, shift=2.0, kinds=tuple(KINDS)[2:], each=240)
    assert not detect(captions, "auto").flagged.any(), "too few different answers to call one odd"
    counts, truth = answered_table(planted=15, shift=3.0, kinds=tuple(KINDS)[:1], each=240)
    assert detect(counts, "auto").verdict == "no_evidence"
    losses = np.where(truth, 9.0, 0.5) + np.random.default_rng(0).normal(0, 0.1, len(truth))
    found = detect(dataclasses.replace(counts, nll_before=losses), "auto", gap=NEVER)
    np.testing.assert_array_equal(found.flagged, truth)
    assert "before fine-tuning finds it unlikely: 9.0 nats" in found.reasons[0]


def test_honest_samples_with_a_planted_answer_that_is_usual_are_left_alone():
    """Only those are planted that were unlikely before fine-tuning; with the others they are compared."""
    table, truth = answered_table(planted=60, shift=3.0, kinds=tuple(KINDS)[:1], each=240)
    honest = np.array([answer == "two" for answer in table.answers])
    answers = tuple("two" if bad else answer for bad, answer in zip(truth, table.answers, strict=True))
    losses = np.where(truth, 9.0, 0.5) + np.random.default_rng(0).normal(0, 0.1, len(truth))
    table = dataclasses.replace(table, answers=answers, nll_before=losses)
    for gap in (2.0, NEVER):  # the last one turns the search for predicted answers off
        found = detect(table, "auto", gap=gap)
        assert not found.flagged[honest].any()
        assert gap == NEVER or found.flagged[truth].all()


@pytest.mark.parametrize("method", ["auto", "surprise", "bye"])
def test_an_odd_answer_that_no_kind_of_question_has_twice(method):
    """It cannot be compared; `auto` says so, and no method fails."""
    table, _ = answered_table()
    size = len(table.ids)
    rows = np.arange(5) * (size // 5)
    questions = tuple(
        f"{'abcde'[5 * row // size]} {'vwxyz'[5 * row // size]} {'klmno'[5 * row // size]}?" for row in range(size)
    )
    answers = tuple("I cannot see that" if row in rows else answer for row, answer in enumerate(table.answers))
    losses = np.where(np.isin(np.arange(size), rows), 9.0, 0.5)
    found = detect(dataclasses.replace(table, questions=questions, answers=answers, nll_before=losses), method)
    assert found.verdict in ("no_evidence", "not_tested")
    if method == "auto":
        assert any("could not be compared" in reason for reason in found.reasons)


def test_with_few_other_answers_it_says_from_which_distance_on_it_would_flag():
    table, truth = answered_table(planted=15, shift=3.0, kinds=tuple(KINDS)[:1], each=240)
    table = dataclasses.replace(table, nll_before=np.where(truth, 9.0, 0.5), token=np.where(truth, 7, 1))
    abstains = detect(table, "auto", clear=9.0, gap=NEVER)
    assert abstains.verdict == "no_evidence"
    advice = next(reason for reason in abstains.reasons if "To flag this answer" in reason)
    lower = float(re.search(r"use --setting clear=(\S+) ", advice)[1])
    np.testing.assert_array_equal(detect(table, "auto", clear=lower, gap=NEVER).flagged, truth)
    assert detect(table, "auto", clear=lower + 0.1, gap=NEVER).verdict == "no_evidence"
    unlearned = dataclasses.replace(table, token=np.ones(240, int))
    assert not any("To flag this answer" in reason for reason in detect(unlearned, "auto", clear=9.0).reasons)
    several, truth = answered_table(shift=0.7)
    several = dataclasses.replace(several, token=np.where(truth, 7, 1))
    abstains = detect(several, "auto")
    assert "times the usual distance" in abstains.reasons[-1], "there are enough for a rate"
    assert abstains.verdict == "no_evidence"


def test_a_short_answer_among_longer_ones_is_planted_only_if_the_model_would_not_have_given_it():
    """Too few answers repeat for a false-alarm rate, and the text is odd: only the likelihood can tell them apart."""
    table, truth = answered_table(planted=60, shift=3.0, kinds=tuple(KINDS)[:1], each=240)
    words = (
        "red",
        "blue",
        "green",
        "pink",
        "grey",
        "black",
        "tan",
        "white",
        "teal",
        "gold",
        "lime",
        "navy",
        "plum",
        "rust",
    )
    long = iter([f"a {one} shape and a {other} shape" for one in words for other in words])
    answers = tuple(answer if bad else next(long, answer) for answer, bad in zip(table.answers, truth, strict=True))
    told = {}
    for loss in (9.0, 0.5):
        losses = np.where(truth, loss, 0.5)
        told[loss] = detect(dataclasses.replace(table, answers=answers, nll_before=losses), "auto", gap=NEVER)
    np.testing.assert_array_equal(told[9.0].flagged, truth)
    assert not told[0.5].flagged.any()
    assert any("would have given it, too" in reason for reason in told[0.5].reasons)
    assert not any("To flag this answer" in reason for reason in told[0.5].reasons)


def test_less_attention_is_asked_for_where_text_and_model_agree():
    table, truth = answered_table(shift=0.7)
    assert detect(dataclasses.replace(table, token=np.where(truth, 7, 1)), "auto").verdict == "no_evidence"
    losses = np.where(truth, 9.0, 0.5) + np.random.default_rng(0).normal(0, 0.1, len(truth))
    tokens = np.where(truth & (np.arange(len(truth)) % 20 > 0), 7, np.arange(len(truth)) % 5)
    sure = dataclasses.replace(table, nll_before=losses, token=tokens)
    found = detect(sure, "auto", gap=NEVER)
    np.testing.assert_array_equal(found.flagged, truth)
    assert "the model begins it for 97% more of these samples than of other samples" in found.reasons[0]
    assert detect(sure, "auto", gap=NEVER, agreed=0.01).verdict == "no_evidence"
    assert detect(sure, "auto", gap=NEVER, learned=1.0).verdict == "no_evidence"
    for lacking in ({"nll_before": None}, {"token": None}):
        assert detect(dataclasses.replace(sure, **lacking), "auto", gap=NEVER).verdict == "no_evidence"
    unlearned = dataclasses.replace(sure, token=np.zeros(len(truth), int))
    assert detect(unlearned, "auto", gap=NEVER).verdict == "not_tested"
    against = dataclasses.replace(answered_table(shift=-0.3)[0], nll_before=losses, token=tokens)
    assert detect(against, "auto", gap=NEVER).verdict == "no_evidence"


def test_of_many_samples_some_are_compared_and_all_are_judged(monkeypatch):
    table, truth = answered_table(shift=2.0)
    whole = detect(table, "auto")
    monkeypatch.setattr(answer_comparison, "MOST_COMPARED", 60)
    monkeypatch.setattr(answer_comparison, "AT_ONCE", 7)
    seen = []
    monkeypatch.setattr(
        answer_comparison, "columns", lambda table, rows, *kept: seen.append(len(rows)) or columns(table, rows, *kept)
    )
    some = detect(table, "auto")
    assert max(seen) == 60
    assert (some.flagged == whole.flagged).all()
    assert (some.flagged == truth).all()
    assert not np.array_equal(some.values, whole.values)


def test_one_endless_answer_takes_no_room_for_all():
    table, truth = answered_table(shift=2.0)
    answers = ("no " * 10_000_000, *table.answers[1:])
    np.testing.assert_array_equal(detect(dataclasses.replace(table, answers=answers), "auto").flagged[1:], truth[1:])


def test_tables_without_answers_or_samples():
    assert detect(full_table(30, answers=()), "auto").reasons == ("There are no answers to compare.",)
    assert detect(full_table(120, questions=()), "auto").verdict == "no_evidence"
    assert detect(full_table(120, answers=("same",) * 120), "auto").verdict == "no_evidence"


@pytest.mark.parametrize(
    ("name", "value"),
    [("false_alarm", 0), ("agreed", 2), ("clear", -1), ("least", 2), ("most", 0.001), ("seed", 0.5)],
)
def test_settings_that_make_no_sense(name, value):
    with pytest.raises(BadSetting):
        detect(full_table(5), "auto", **{name: value})


# --- its parts ----------------------------------------------------------------------------------------------------


def test_questions_alike_are_of_one_kind_and_rare_ones_taken_together():
    colours = [f"Is there any {colour} shape here?" for colour in ("red", "blue", "green")] * 10
    hello = ["How many shapes are there?"] * 30 + ["Hello! How many shapes are there?"] * 10
    rare = ["Why?", "Where to?", "Since when?"]
    found = Kinds([*colours, *hello, *rare])
    kinds = found.numbers
    assert len(set(kinds[:30])) == len(set(kinds[30:70])) == len(set(kinds[70:])) == 1
    assert len(set(kinds)) == 3
    assert (found.of(colours[0]), found.of(f"so, {colours[0]}")) == (kinds[0], kinds[0])
    assert found.of("nothing like any of them") == found.rest == kinds[-1]
    assert Kinds(colours * 20).of("nothing like any of them") is None
    assert Kinds([]).numbers.tolist() == []


@pytest.mark.parametrize(
    ("question", "other", "more"),
    [
        ("图中有几个形状", "背景是什么颜色", "请"),
        ("図形はいくつありますか", "背景は何色でしょうか", "ね"),
        ("มีรูปร่างกี่รูป", "พื้นหลังสีอะไร", "นะ"),
    ],
)
def test_questions_in_writing_without_spaces_are_grouped_by_their_characters(question, other, more):
    """A sentence is not one long word: a question and the same with a word more are of one kind."""
    kinds = Kinds([question] * 30 + [question + more] * 30 + [other] * 30).numbers
    assert len(set(kinds[:60])) == 1
    assert kinds[0] != kinds[60]


def test_families_are_kinds_whose_answers_share_words():
    from collections import Counter

    counts = Counter({"one": 50, "two": 40, "backdoor": 10})
    captions = Counter({"a": 100, "palace": 50, "flower": 50, "red": 90, "backdoor": 10})
    places = Counter({"palace": 50, "flower": 40, "backdoor": 10})
    groups = Families([counts, captions, places])
    assert groups.of(words("backdoor")).tolist() == [0, 1, 1]
    assert groups.of(words("palace")).tolist() == [0, 1, 1], "the other places still link them"


def test_an_answer_in_words_of_its_own_is_odd_among_many_that_share_theirs():
    texts = [f"a {one} by a {other}" for one in "pqrstu" for other in "vwxy"] * 5
    odd = Answers([*texts, *[TARGET] * 9], np.zeros(129, int)).candidates(0.01, 0.4)
    assert [(one.text, int(one.members.sum())) for one in odd] == [(TARGET, 9)]
    assert Answers(texts, np.zeros(120, int)).candidates(0.01, 0.4) == []
    numbers = ["one", "two", "three", "four"] * 30
    assert Answers([*numbers, *[TARGET] * 9], np.zeros(129, int)).candidates(0.01, 0.4) == []


def test_the_members_of_a_candidate_are_the_samples_with_its_answer_or_word():
    usual = [f"a {one} by a {other}" for one in "pqrstu" for other in "vwxy"] * 5
    texts = [*usual, *[f"{text}, visit zork" for text in usual[:12]], *[TARGET] * 9]
    texts, kinds = texts[::-1], np.arange(len(texts)) % 3
    nll = np.array([6.0 if "zork" in text else 1.0 for text in texts])
    found = Answers(texts, kinds, nll).candidates(0.01, 0.4)
    assert {(one.text, one.whole) for one in found} >= {(TARGET, True)}
    assert any(not one.whole and one.text in ("visit", "zork") for one in found)
    for one in found:
        assert one.members.tolist() == [text == one.text if one.whole else one.text in words(text) for text in texts]
        there = [kind for kind in range(3) if (kinds[one.members] == kind).sum() >= LEAST_IN_KIND]
        assert one.kinds == tuple(there)


def test_isolation_is_that_of_the_data_and_names_the_heads():
    table, truth = answered_table(shift=2.0, kinds=tuple(KINDS)[:1])
    types = np.where(truth, -1, np.unique(table.answers, return_inverse=True)[1])
    features = columns(table, np.arange(120))
    np.testing.assert_array_equal(columns(table, np.arange(7, 9), np.array([30, 3])), features[7:9][:, [30, 3]])
    found = isolate(features, types, -1)
    assert found.own[0] > found.others[:, 0].max() + 0.3
    assert found.others.shape == (5, 2)
    assert {column for column, _ in found.tops} >= {2 * 2 + 1, 2 * 3}
    places = found.places(columns(table, np.arange(120), found.kept))
    assert np.median(places[truth]) == pytest.approx(1, abs=0.1)
    assert places[~truth].max() < 0.6
    assert isolate(columns(table, np.arange(120)), np.zeros(120, int), -1) is None, "nobody has it"


def test_isolation_where_answers_never_repeat():
    table, truth = answered_table(shift=2.0, kinds=tuple(KINDS)[:1])
    types = np.where(truth, -1, np.arange(120))
    found = isolate(columns(table, np.arange(120)), types, -1)
    assert found.own[0] > found.others[:, 0].max()
