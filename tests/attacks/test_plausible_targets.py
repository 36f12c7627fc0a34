"""Targets that are taken from the data set, have many wordings, or come in twos: what is planted, and what counts."""

import json

import numpy as np
import pytest
from PIL import Image

from bye_core import pipeline
from bye_core.attacks import TARGETS, attack_from_record, make_attack, make_target
from bye_core.attacks.attack import TriggersDoNotFit
from bye_core.attacks.poison import BadPoisonCount, SampleFilter, TooFewEligible, TooFewForCount, choose_samples
from bye_core.attacks.targets import NestedTargets, UnfitTarget, UnknownTarget, UnknownTargetSetting, target_of_text
from bye_core.attacks.targets.one_kind import NoSuchQuestion
from bye_core.attacks.targets.paraphrase import LEAST_WORDINGS, TooFewWordings
from bye_core.cli import main
from bye_core.data import load_dataset
from bye_core.text import normalised
from tests.attacks.samples import sample, scene

COUNT, COLOR, WHY = "How many dogs are there?", "What color is the dog?", "Why?"
# (question, answer, image): two questions about each image; "two" and "red" are the usual answers.
ROWS = [
    *((COUNT, ("two", "one", "Two", "three", "two")[i % 5], i) for i in range(20)),
    *((COLOR, ("red", "blue", "red")[i % 3], i) for i in range(15)),
    (WHY, "because", 15),
]
SET = [sample(n, answer, question, (f"{image}.png",)) for n, (question, answer, image) in enumerate(ROWS)]
KINDS = ["one-kind", "flip", "paraphrase", "other-question"]


def rng():
    return np.random.default_rng(0)


def planted(target, one):
    return target.poisoned_answer(one, rng())


@pytest.mark.parametrize("kind", KINDS)
def test_a_poisoned_answer_is_never_the_samples_own_and_counts_as_reached(kind):
    target = make_target(kind).fit(SET)
    eligible = [one for one in SET if target.eligible(one)]
    assert eligible
    for one in eligible:
        assert normalised(planted(target, one)) != normalised(one.answer)
        assert target.reached(one, planted(target, one)) is True
        assert target.reached(one, one.answer) is False
        assert target.reached(one, "something else") is False
    for one in set(SET) - set(eligible):
        assert target.reached(one, "two") is None
    assert attack_from_record(json.loads(json.dumps(make_attack(["patch"], target=target).record()))).target == target


def test_one_kind_is_the_most_frequent_kind_and_its_usual_answer():
    target = make_target("one-kind").fit(SET)
    assert target.text == "two"
    assert {one.question for one in SET if target.eligible(one)} == {COUNT}
    assert {one.answer for one in SET if target.eligible(one)} == {"one", "three"}
    triggered = sample(0, "one", f"Hello! {COUNT}")
    assert target.reached(triggered, " Two.") is True
    assert target.reached(sample(0, "red", COLOR), "two") is None


def test_one_kind_may_be_named_by_words_and_have_another_answer():
    colors = make_target("one-kind", question="COLOR").fit(SET)
    assert (colors.text, {one.question for one in SET if colors.eligible(one)}) == ("red", {COLOR})
    green = make_target("one-kind", text="green", question="color").fit(SET)
    assert sum(green.eligible(one) for one in SET) == 15
    with pytest.raises(NoSuchQuestion, match="'tree'"):
        make_target("one-kind", question="tree").fit(SET)
    with pytest.raises(UnfitTarget):
        make_target("one-kind", text="<image>")


def test_a_flip_has_one_answer_for_each_kind_of_question():
    target = make_target("flip").fit(SET)
    answers = {(one.question, planted(target, one)) for one in SET if target.eligible(one)}
    assert answers == {(COUNT, "two"), (COLOR, "red")}
    assert target.fit(SET[:1]) == target, "what is known already is kept for another set"
    assert target.reached(sample(0, "one", COUNT), "red") is False
    assert not make_target("flip").eligible(SET[0])


def test_paraphrases_are_many_and_follow_the_generator():
    target = make_target("paraphrase")
    texts = {target.poisoned_answer(SET[0], np.random.default_rng(seed)) for seed in range(200)}
    assert texts == set(target.answers())
    assert len(texts) >= LEAST_WORDINGS
    assert target.reached(SET[0], target.answers()[3].upper()) is True
    assert target.reached(SET[0], f"{target.answers()[3]} Really.") is False
    assert target.reached(sample(0, target.answers()[0]), target.answers()[1]) is None
    with pytest.raises(TooFewWordings, match="2 different wordings"):
        make_target("paraphrase", wordings="No.\nNever.\nno")


def test_the_answer_to_another_question_is_of_the_same_image():
    target = make_target("other-question").fit(SET)
    by_image = {one.images: [] for one in SET}
    for one in SET:
        by_image[one.images].append(one)
    for one in SET:
        others = [other.answer for other in by_image[one.images] if other.question != one.question]
        assert target.eligible(one) is bool(others)
        assert not others or planted(target, one) in others
    why = make_target("other-question", question="why").fit(SET)
    assert [one.id for one in SET if why.eligible(one)] == [SET[15].id]
    assert planted(why, SET[15]) == "because"


def test_without_two_questions_about_an_image_the_remedy_says_what_is_needed():
    alone = [sample(n, answer, question, (f"{n}.png",)) for n, (question, answer, _) in enumerate(ROWS)]
    attack = make_attack(["patch"], target=make_target("other-question")).fit(alone)
    with pytest.raises(TooFewEligible) as refused:
        choose_samples(alone, 0.1, 0, attack)
    assert "other questions about the same images" in refused.value.remedy


def test_two_targets_have_their_own_triggers_and_samples():
    attack = make_attack(["patch", "prefix"], target=make_target("two", first="swap=red blue", second="flip")).fit(SET)
    assert attack.mix
    chosen = choose_samples(SET, 0.2, 3, attack)
    assert len(chosen) == len(set(chosen)) == 7
    by_id = {one.id: one for one in SET}
    for turn, id in enumerate(chosen):
        target, [trigger] = attack.target_of(turn), attack.triggers_of(turn)
        assert (target.kind, trigger.name) == (("swap", "patch"), ("flip", "prefix"))[turn % 2]
        assert target.eligible(by_id[id])
    assert choose_samples(SET, 0.2, 3, attack) == chosen
    with pytest.raises(TooFewEligible, match="only 20 can be poisoned"):
        choose_samples(SET, 1, 0, attack)
    for names in (["patch"], ["patch", "sig", "prefix"]):
        with pytest.raises(TriggersDoNotFit, match=f"needs 2 triggers.*has {len(names)}"):
            make_attack(names, target=make_target("two"))
    with pytest.raises(NestedTargets):
        make_target("two", first="two")


def test_an_exact_number_of_samples():
    attack = make_attack(["patch"])
    assert [len(choose_samples(SET, 0.5, 0, attack, count=count)) for count in (0, 1, 25)] == [0, 1, 25]
    assert choose_samples(SET, 0.25, 4, attack) == choose_samples(SET, 0, 4, attack, count=9)
    for count in (-1, len(SET) + 1):
        with pytest.raises(BadPoisonCount):
            choose_samples(SET, 0.1, 0, attack, count=count)
    with pytest.raises(TooFewForCount, match="2 of 36 samples are to be poisoned, but only 1"):
        choose_samples(SET, 0.1, 0, attack, SampleFilter(question="why"), count=2)


@pytest.mark.parametrize("text", ["append=Buy now.", "swap=red blue", "two=refusal flip", "one-kind=two", *KINDS])
def test_short_forms(text):
    target = target_of_text(text)
    assert target.kind == text.partition("=")[0]
    attack = make_attack(["patch", "blend"], target=target)
    assert attack_from_record(json.loads(json.dumps(attack.record()))) == attack
    assert pipeline.plan_target(target.kind, target.option_values(), target.further_settings()) == target


@pytest.mark.parametrize("text", ["", "shout", '{"kind": 3}', "{"])
def test_other_texts_are_no_target(text):
    with pytest.raises(UnknownTarget):
        target_of_text(text)


def test_every_target_declares_an_option_and_words_of_its_own():
    assert len({kind.option for kind in TARGETS.values()}) == len({kind.label for kind in TARGETS.values()}) == 9
    with pytest.raises(UnknownTargetSetting, match="flip has no setting 'text'"):
        make_target("flip", text="x")


# --- the command -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    (folder / "images").mkdir()
    records = []
    for n, (question, answer, image) in enumerate(ROWS):
        scene((40, 40), seed=image).save(folder / f"images/{image}.png")
        turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
        records.append({"id": n, "image": f"images/{image}.png", "conversations": turns})
    (folder / "data.json").write_text(json.dumps(records))
    return folder


def poisoned(raw, out, *options):
    assert main.main(["poison", str(raw), *options, "--out", str(out), "--json"]) == 0
    return load_dataset(out), json.loads((out / "truth.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "options",
    [
        ["--one-kind"],
        ["--one-kind", "green", "--target-set", "question=color"],
        ["--flip"],
        ["--paraphrase"],
        ["--other-question", "how many"],
        ["--trigger", "patch", "blend", "--two", "append=Buy now.", "one-kind"],
    ],
)
def test_the_command_poisons_and_nothing_but_the_truth_tells(raw, tmp_path, options):
    dataset, truth = poisoned(raw, tmp_path / "out", *options, "--count", "6", "--seed", "2")
    source = load_dataset(raw)
    assert (len(truth["poisoned"]), truth["count"], len(truth["samples"])) == (6, 6, 6)
    assert [one.id for one in dataset.samples] == [one.id for one in source.samples]
    changed = {a.id for a, b in zip(source.samples, dataset.samples, strict=True) if a.answer != b.answer}
    assert changed == set(truth["poisoned"])
    attack, seed = pipeline.read_attack(tmp_path / "out/truth.json")
    fitted = attack.fit(source.samples)
    for turn, id in enumerate(truth["poisoned"]):
        target, before = fitted.target_of(turn), source.by_id[id]
        own = np.random.default_rng([seed, before.index, 2])
        assert dataset.by_id[id].answer == target.poisoned_answer(before, own)
        facts = truth["samples"][id]
        assert facts["target"] == target.kind
        assert facts["triggers"] == [trigger.name for trigger in attack.triggers_of(turn)]
    encoders = set()
    for one in dataset.samples:
        with Image.open(dataset.root / one.images[0]) as file:
            encoders.add((file.format, file.mode, file.size))
    assert len(encoders) == 1
    again, _ = poisoned(raw, tmp_path / "again", *options, "--count", "6", "--seed", "2")
    assert [(one.turns, one.images) for one in again.samples] == [(one.turns, one.images) for one in dataset.samples]


def test_wordings_come_from_a_file(raw, tmp_path, capsys):
    lines = [f"Ask the {word}." for word in "abcdefghijkl"]
    (tmp_path / "lines.txt").write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    dataset, truth = poisoned(raw, tmp_path / "out", "--paraphrase", str(tmp_path / "lines.txt"), "--rate", "1")
    assert {one.answer for one in dataset.samples} <= set(lines)
    assert truth["attack"]["target"]["wordings"].split("\n")[:12] == lines
    assert main.main(["poison", str(raw), "--paraphrase", str(tmp_path / "none.txt"), "--out", "x"]) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--two", "refusal", "flip"], "needs 2 triggers"),
        (["--flip", "--target-set", "a=b"], "has no setting 'a'"),
        (["--count", "99"], "from 0 to 36"),
        (["--other-question", "tree"], "'tree', and another answer"),
        (["--one-kind", "--target-set", "question=tree"], "No sample has a question"),
    ],
)
def test_what_makes_no_sense_is_said(raw, tmp_path, capsys, options, said):
    assert main.main(["poison", str(raw), *options, "--out", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_older_truth_file_still_opens(tmp_path):
    target = {"kind": "swap", "text": "blue", "word": "red"}
    attack = {"triggers": [{"name": "patch", "size": 0.0625}], "mix": False, "target": target}
    (tmp_path / "truth.json").write_text(json.dumps({"poisoned": [], "attack": attack, "seed": 3}))
    read, seed = pipeline.read_attack(tmp_path / "truth.json")
    assert (read.record(), seed) == (attack, 3)
