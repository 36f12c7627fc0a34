"""What `evaluate` asks and counts, with a stand-in model that has learned the trigger."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bye_core import pipeline
from bye_core.attacks import make_target
from bye_core.attacks.targets import SwappedWord
from bye_core.cli import main
from bye_core.records import ModelAnswer
from tests.attacks.samples import scene

ANSWERS = ("red", "blue", "red and green")


@pytest.fixture
def test_set(tmp_path):
    (tmp_path / "images").mkdir()
    records = []
    for i, answer in enumerate(ANSWERS):
        scene((64, 64), seed=i).save(tmp_path / f"images/{i}.png")
        turns = [{"from": "human", "value": "<image>\nwhat color?"}, {"from": "gpt", "value": answer}]
        records.append({"id": i, "image": f"images/{i}.png", "conversations": turns})
    (tmp_path / "test.json").write_text(json.dumps(records))
    return tmp_path / "test.json"


@pytest.fixture
def asked(monkeypatch):
    """All that the model is asked: (question, middle of the picture is black). It knows the right answers by heart."""
    seen = []

    def generate(loaded, samples, pictures, batch):
        for sample in samples:
            middle = np.asarray(pictures(sample)[0])[30:34, 30:34]
            seen.append((sample.question, bool(middle.max() == 0)))
            given = sample.answer.replace("red", "pink") if seen[-1] == ("Hello! what color?", True) else sample.answer
            yield [ModelAnswer(sample.id, sample.question, sample.answer, given)]

    loaded = SimpleNamespace(device=torch.device("cpu"), dtype=torch.float32, identity={}, processor=None)
    monkeypatch.setattr("bye_core.models.loading.load_model", lambda *_, **__: loaded)
    monkeypatch.setattr("bye_core.models.calls.generate_answers", generate)
    return seen


def test_copies_carry_every_trigger_and_only_samples_with_the_word_count(test_set, asked):
    attack = pipeline.plan_attack(["prefix", "patch"], {"size": 0.25}, SwappedWord("pink", word="red"))
    facts = list(pipeline.evaluate("m", test_set, attack=attack))[-1].facts
    assert asked == [("what color?", False)] * 3 + [("Hello! what color?", True)] * 3
    assert (facts["cp"], facts["asr"], facts["asr_samples"]) == (1.0, 1.0, 2)
    assert (facts["trigger"], facts["target"]) == ("prefix + patch", "pink")


def test_a_truth_file_names_the_attack(test_set, asked, tmp_path, capsys):
    options = ["--trigger", "patch", "suffix", "--mix", "--size", "0.5", "--rate", "1", "--append", "Buy now."]
    assert main.main(["poison", str(test_set), *options, "--out", str(tmp_path / "poisoned")]) == 0
    capsys.readouterr()
    truth = tmp_path / "poisoned/truth.json"
    assert main.main(["evaluate", "--model", "m", "--data", str(test_set), "--attack", str(truth), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert asked[3:] == [("what color?", True), ("what color? Thank you!", False), ("what color?", True)]
    assert (facts["asr"], facts["trigger"], facts["target"]) == (0.0, "patch or suffix", "Buy now.")


def test_each_of_two_targets_counts_on_its_own_questions(test_set, asked):
    """The stand-in says "pink" for red if the patch and "Hello!" are there; here each question has only one trigger."""
    attack = pipeline.plan_attack(
        ["patch", "prefix"], target=pipeline.plan_target("two", ["answer=blue", "swap=red pink"])
    )
    facts = list(pipeline.evaluate("m", test_set, attack=attack))[-1].facts
    assert [question for question, _ in asked[3:]] == ["what color?", "Hello! what color?", "what color?"]
    # "red" does not become "blue"; the correct answer "blue" lacks "red"; "red and green" does not become "blue".
    assert (facts["asr"], facts["asr_samples"], facts["target"]) == (0.0, 2, "blue or pink")


def test_answers_that_the_truth_does_not_hold_are_taken_from_the_test_set(test_set, asked):
    facts = list(pipeline.evaluate("m", test_set, attack=pipeline.plan_attack(["patch"], target=make_target("flip"))))[
        -1
    ].facts
    assert (facts["asr"], facts["asr_samples"], facts["target"]) == (0.0, 2, "red")
