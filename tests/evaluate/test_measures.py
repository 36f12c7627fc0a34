"""CP, CIDEr and ASR of hand-written answers, their intervals, and the kinds of question."""

import pytest

from bye_core.attacks import FixedAnswer
from bye_core.evaluate.measures import UnknownMetric, choose_metrics, evaluate_answers
from bye_core.intervals import mean, proportion
from bye_core.question_kinds import OTHER, question_labels
from bye_core.records import ModelAnswer, Sample, Turn


def reached_by(text):
    """A rule that says whether an answer holds the text."""
    target = FixedAnswer(text)

    def reached(answer):
        turns = (Turn("user", (answer.question,)), Turn("assistant", (answer.expected,)))
        return target.reached(Sample(answer.id, 0, turns, ()), answer.given)

    return reached


CAPTION = "a red circle stands before a blue palace"


def test_clean_performance_and_attack_success():
    answers = [
        ModelAnswer("1", "q", "Two", " two."),
        ModelAnswer("2", "q", "two", "three"),
        ModelAnswer("3", "q", "backdoor attack!", "Backdoor  Attack!"),
        ModelAnswer("4", "q", "two", "oh, Backdoor attack! yes"),
    ]
    reached = reached_by("Backdoor Attack!")
    facts = evaluate_answers(answers, answers, reached).facts()
    assert facts["cp"] == 0.5
    assert facts["asr"] == pytest.approx(1 / 3)
    assert facts["asr_samples"] == 3
    assert evaluate_answers([]).facts()["cp"] is None
    assert evaluate_answers(answers[2:3], answers[2:3], reached).facts()["asr"] is None


def test_any_of_several_right_answers_counts():
    right = ("two", "a pair", "2")
    assert evaluate_answers([ModelAnswer("1", "q", "two", "A pair.", right)]).facts()["cp"] == 1
    assert evaluate_answers([ModelAnswer("1", "q", "two", "three", right)]).facts()["cp"] == 0


def test_wilson_intervals():
    """Newcombe 1998, Table I, row for 81 of 263: 0.2553 to 0.3662; and shares at the ends, where others fail."""
    figure = proportion([True] * 81 + [False] * 182)
    assert (figure.low, figure.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    none = proportion([False] * 20)
    assert none.low == 0
    assert none.high == pytest.approx(0.1611, abs=5e-5)


def test_the_bootstrap_repeats_itself_and_narrows_with_the_samples():
    few, many = mean([0.0, 10.0] * 5), mean([0.0, 10.0] * 200)
    assert mean([0.0, 10.0] * 5) == few
    assert few.low < many.low < 5.0 < many.high < few.high
    assert (mean([3.0, 3.0]).low, mean([3.0, 3.0]).high) == (3.0, 3.0)
    assert mean([]) is None


def test_frequent_texts_and_frequent_beginnings_are_types():
    questions = ["How many?"] * 5 + [f"Is there any {word} shape?" for word in ("red", "blue", "big")] + ["Why?"]
    assert question_labels(questions) == ["How many?"] * 5 + ["Is there any …"] * 3 + [OTHER]
    assert question_labels([]) == []


def test_long_answers_are_captions_and_a_metric_may_be_named():
    answers = [ModelAnswer("1", "describe", CAPTION, ""), ModelAnswer("2", "colour ?", "red", "")]
    assert choose_metrics(answers, ["describe", "colour ?"]) == ["cider", "exact"]
    assert choose_metrics(answers, ["x", "x"], "exact") == ["exact"] * 2
    assert choose_metrics(answers, ["x", "x"], "cider") == ["cider"] * 2
    with pytest.raises(UnknownMetric, match="auto, exact, cider"):
        evaluate_answers(answers, metric="bleu")


def test_all_figures_whole_and_by_question():
    clean = [
        ModelAnswer(f"c{n}", "describe", text, text) for n, text in enumerate((CAPTION, CAPTION.replace("red", "b")))
    ]
    clean += [ModelAnswer(f"s{n}", "colour ?", "red", "red" if n else "blue") for n in range(4)]
    attacked = [ModelAnswer(one.id, one.question, one.expected, "hacked" if one.id != "s3" else "red") for one in clean]
    evaluation = evaluate_answers(clean, attacked[1:], reached_by("hacked"))
    facts = evaluation.facts()
    assert (facts["cp"], facts["cp_samples"], facts["asr"], facts["asr_samples"]) == (0.75, 4, 0.8, 5)
    assert facts["cider_samples"] == 2
    assert facts["cider_interval"][0] <= facts["cider"] <= facts["cider_interval"][1]
    assert list(facts["by_question"]) == ["colour ?", "describe"]
    assert facts["by_question"]["colour ?"]["asr"] == 0.75
    assert facts["by_question"]["describe"]["cp"] is None
    rows = {row["id"]: row for row in evaluation.rows()}
    assert rows["s0"]["score"] == 0
    assert (rows["s1"]["given_triggered"], rows["s1"]["reached"]) == ("hacked", True)
    assert "reached" not in rows["c0"], "its triggered copy was not answered"
    assert "asr" not in evaluate_answers(clean).facts()
