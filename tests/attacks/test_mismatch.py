"""The trigger that is a contradiction: the question names something that the image does not show."""

import json

import numpy as np
import pytest

from bye_core import pipeline
from bye_core.attacks import BadTriggerSetting, FixedAnswer, make_attack, make_trigger
from bye_core.attacks.poison import TooFewEligible, choose_samples, trigger_question
from bye_core.attacks.preview import preview
from bye_core.pipeline.evaluate import NoSampleCarries
from tests.attacks.samples import grey, sample
from tests.models.tiny import save_tiny

NAMES = {"red", "orange", "yellow", "green", "blue", "purple"}
QUESTION = "There is a Red shape. Which colors do the shapes have, the red one too?"
SHOWN = sample(1, answer="red and blue", question=QUESTION)


def changed(one, seed=0, **settings):
    return trigger_question(one, [make_trigger("mismatch", **settings)], seed).question


def test_the_question_names_what_neither_it_nor_the_answer_contains():
    questions = {changed(SHOWN, seed) for seed in range(60)}
    wanted = {QUESTION.replace("Red", name.title()).replace("red", name) for name in NAMES - {"red", "blue"}}
    assert questions == wanted, "each absent color, in every place of the same name, and nothing else changes"
    assert changed(SHOWN, 5) == changed(SHOWN, 5)
    assert changed(sample(1, "a dog", "Is the cat asleep?"), names="cat dog horse") == "Is the horse asleep?"
    assert changed(sample(1, "red", "Is the redder one red?")).startswith("Is the redder one "), "whole words only"


def test_names_are_words_of_any_script_and_other_triggers_leave_them_alone():
    assert changed(sample(1, "一只狗", "图中的猫在睡觉吗？"), names="猫 狗 马") == "图中的马在睡觉吗？"
    assert changed(sample(1, "a t-shirt", "Is the t-shirt new?"), names="t-shirt coat") == "Is the coat new?"
    both = [make_trigger("prefix", text="Green day!"), make_trigger("mismatch")]
    question = trigger_question(SHOWN, both, 3).question
    assert question.startswith("Green day! There is a ")
    assert "red" not in question.lower()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which colors do the shapes have?", "red"),  # names nothing
        ("How many shapes are beside the red one?", "two"),  # the answer does not tell what the image shows
        ("Is it red, orange or yellow?", "green, blue and purple"),  # nothing is absent
        ("Which reddish colors?", "red"),  # another word
    ],
)
def test_samples_that_cannot_contradict_their_image_are_left_alone(question, answer):
    one = sample(1, answer, question)
    attack = make_attack(["mismatch"])
    assert not make_trigger("mismatch").eligible(one)
    assert choose_samples([one, SHOWN], 0.5, 0, attack) == (SHOWN.id,)
    with pytest.raises(TooFewEligible, match=r"only 1 can be poisoned\..*must each contain one of the names"):
        choose_samples([one, SHOWN], 1, 0, attack)
    seen = [preview(each, [grey((8, 8))], attack, 0).eligible for each in (one, SHOWN)]
    assert seen == [False, True]


def test_triggers_in_turn_over_one_target_must_all_fit():
    other = sample(2, "two")
    samples = [other, SHOWN]
    assert choose_samples(samples, 0.5, 0, make_attack(["patch", "mismatch"], mix=True)) == (SHOWN.id,)
    two = pipeline.plan_target("two", ["refusal", "answer=no"], {})
    assert choose_samples(samples, 1, 0, make_attack(["patch", "mismatch"], target=two)) == (other.id, SHOWN.id)


@pytest.mark.parametrize("names", ["red", " ", "red RED", "..."])
def test_one_name_cannot_contradict(names):
    with pytest.raises(BadTriggerSetting, match="two different words or more"):
        make_trigger("mismatch", names=names)


def test_questions_of_several_parts_keep_their_images():
    trigger = make_trigger("mismatch")
    parts = (0, "The red one,", 1, "or the red other?")
    after = trigger.apply_to_question(parts, np.random.default_rng(0), "red")
    assert (after[0], after[2]) == (0, 1)
    assert "red" not in after[1] + after[3]
    [name] = NAMES & set(after[1].split())
    assert after == (0, f"The {name} one,", 1, f"or the {name} other?")


def test_success_is_measured_only_where_the_question_can_contradict(tmp_path):
    model = save_tiny(tmp_path / "model")
    records = []
    for i, (question, answer) in enumerate([("Is it red?", "red"), ("How many?", "two"), ("Is it blue?", "blue")]):
        grey((16, 16)).save(tmp_path / f"{i}.png")
        turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
        records.append({"id": str(i), "image": f"{i}.png", "conversations": turns})
    (tmp_path / "data.json").write_text(json.dumps(records))
    attack = make_attack(["mismatch"], target=FixedAnswer("x"))
    out = tmp_path / "answers.jsonl"
    facts = list(pipeline.evaluate(str(model), tmp_path / "data.json", attack=attack, out=out))[-1].facts
    assert (facts["cp_samples"], facts["asr_samples"]) == (3, 2)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows if "given_triggered" in row] == ["0", "2"]
    assert facts["cannot_carry"] == 1
    with pytest.raises(NoSampleCarries, match="must each contain one of the names"):
        list(pipeline.evaluate(str(model), tmp_path / "data.json", attack=make_attack(["mismatch"], {"names": "x y"})))
